#include "core/runtime/kv/paged_kv.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <utility>

#include <fmt/core.h>

#include "core/base/check.h"

namespace mlxr {

Status PagedKvOptions::validate() const {
  constexpr std::int64_t kMaxId = std::numeric_limits<std::int32_t>::max();
  const auto in_range = [](const char* field, std::int64_t value, std::int64_t low, std::int64_t high) -> Status {
    if (value >= low && value <= high) return {};
    return invalid_argument(fmt::format("{} is {}, must be {} to {}", field, value, low, high));
  };
  if (groups.empty()) return invalid_argument("groups is empty: a cache has at least one group of layers");
  for (const KvGroupOptions& group : groups) {
    MLXR_RETURN_IF_ERROR(in_range("num_blocks", group.num_blocks, 1, kMaxId));
    MLXR_RETURN_IF_ERROR(in_range("window", group.window, 0, kMaxId));
  }
  MLXR_RETURN_IF_ERROR(in_range("block_tokens", block_tokens, 1, 4096));
  if (!std::has_single_bit(static_cast<std::uint64_t>(block_tokens))) {
    return invalid_argument(fmt::format("block_tokens is {}, must be a power of two", block_tokens));
  }
  MLXR_RETURN_IF_ERROR(in_range("max_length", max_length, 1, kMaxId));
  MLXR_RETURN_IF_ERROR(in_range("max_sequences", max_sequences, 1, 1 << 20));
  MLXR_RETURN_IF_ERROR(in_range("swap_blocks", swap_blocks, 0, kMaxId));
  return in_range("num_checkpoints", num_checkpoints, 0, kMaxId);
}

PagedKv::PagedKv(PagedKvOptions options)
    : options_(std::move(options)),
      checkpoints_(options_.num_checkpoints),
      sequences_(static_cast<std::size_t>(options_.max_sequences)) {
  MLXR_CHECK(options_.validate().ok(), "the options are valid");
  for (const KvGroupOptions& group : options_.groups) {
    groups_.push_back({BlockPool(group.num_blocks), SwapSpace(options_.swap_blocks), group.window});
  }
  for (Sequence& sequence : sequences_)
    sequence.tables.resize(groups_.size());
  for (std::int64_t id = options_.max_sequences - 1; id >= 0; --id)
    closed_.push_back(static_cast<SequenceId>(id));
}

PagedKv::Sequence& PagedKv::at(SequenceId sequence) {
  return const_cast<Sequence&>(std::as_const(*this).at(sequence));
}

const PagedKv::Sequence& PagedKv::at(SequenceId sequence) const {
  MLXR_CHECK(sequence >= 0 && sequence < options_.max_sequences && sequences_[static_cast<std::size_t>(sequence)].open,
             "the sequence is open");
  return sequences_[static_cast<std::size_t>(sequence)];
}

PagedKv::Sequence& PagedKv::resident(SequenceId sequence) {
  Sequence& found = at(sequence);
  MLXR_CHECK(!found.swapped, "the sequence is not swapped out");
  return found;
}

std::int64_t PagedKv::first_seen(const Group& group, std::int64_t length) const {
  if (group.window == 0) return 0;
  return std::max<std::int64_t>(0, length - group.window + 1) / options_.block_tokens;
}

void PagedKv::copy(KvCopyKind kind, std::size_t group, std::int32_t from, std::int32_t to) {
  copies_.push_back({kind, static_cast<int>(group), from, to});
}

Result<SequenceId> PagedKv::open(const PrefixScope& scope) {
  if (closed_.empty()) {
    return resource_exhausted(fmt::format("all {} sequences of the KV cache are in use", options_.max_sequences));
  }
  const SequenceId id = closed_.back();
  closed_.pop_back();
  Sequence& sequence = sequences_[static_cast<std::size_t>(id)];
  sequence.open = true;
  sequence.scope = scope.salt;
  return id;
}

void PagedKv::close(SequenceId id) {
  Sequence& sequence = at(id);
  for (std::size_t group = 0; group < groups_.size(); ++group) {
    if (sequence.swapped) {
      Table& table = sequence.tables[group];
      for (auto entry = static_cast<std::size_t>(table.first); entry < table.ids.size(); ++entry)
        groups_[group].swap.give_back(table.ids[entry]);
      table.ids.clear();
      table.first = 0;
    }
    cut_table(sequence, group, 0);
  }
  sequence.open = false;
  sequence.swapped = false;
  sequence.length = 0;
  sequence.tokens.clear();
  sequence.chain.clear();
  closed_.push_back(id);
}

// Releases from the end, so that suffixes are evicted before prefixes.
void PagedKv::cut_table(Sequence& sequence, std::size_t group, std::int64_t num_entries) {
  Table& table = sequence.tables[group];
  while (static_cast<std::int64_t>(table.ids.size()) > std::max(num_entries, table.first)) {
    groups_[group].pool.release(table.ids.back());
    table.ids.pop_back();
  }
  if (num_entries == 0) {
    table.ids.clear();
    table.first = 0;
  }
}

Result<PagedKv::Demand> PagedKv::demand(const Sequence& sequence, std::size_t group, std::int64_t count) const {
  const BlockPool& pool = groups_[group].pool;
  const std::vector<std::int32_t>& ids = sequence.tables[group].ids;
  Demand result;
  result.blocks =
      std::max<std::int64_t>(0, blocks_for(sequence.length + count) - static_cast<std::int64_t>(ids.size()));
  bool shared = false;
  if (count > 0 && sequence.length % options_.block_tokens != 0) {
    const std::int32_t last = ids[static_cast<std::size_t>(sequence.length / options_.block_tokens)];
    shared = pool.references(last) > 1;
    result.copy = shared || pool.published(last);
  }
  const std::int64_t wanted = result.blocks + (result.copy ? 1 : 0);
  if (wanted <= pool.num_available()) return result;
  if (result.copy && !shared && result.blocks <= pool.num_available()) {
    result.copy = false;
    result.withdraw = true;
    return result;
  }
  return resource_exhausted(fmt::format("the KV cache is full: {} blocks of {} tokens wanted, {} of {} can be had",
                                        wanted, options_.block_tokens, pool.num_available(), pool.num_blocks()));
}

void PagedKv::fulfil(Sequence& sequence, std::size_t group, const Demand& demand) {
  BlockPool& pool = groups_[group].pool;
  std::vector<std::int32_t>& ids = sequence.tables[group].ids;
  if (demand.copy || demand.withdraw) {
    std::int32_t& last = ids[static_cast<std::size_t>(sequence.length / options_.block_tokens)];
    if (demand.withdraw) {
      pool.withdraw(last);
    } else {
      const std::int32_t fresh = pool.take();
      copy(KvCopyKind::kBlock, group, last, fresh);
      pool.release(last);
      last = fresh;
      ++stats_.copies;
    }
  }
  for (std::int64_t i = 0; i < demand.blocks; ++i)
    ids.push_back(pool.take());
}

Status PagedKv::reserve(SequenceId id, std::int64_t count) {
  Sequence& sequence = resident(id);
  MLXR_CHECK(count >= 0, "a sequence is extended by what it is to hold");
  if (count > options_.max_length - sequence.length) {
    return resource_exhausted(fmt::format("the context of {} tokens is full: {} in use, {} more wanted",
                                          options_.max_length, sequence.length, count));
  }
  for (std::size_t group = 1; group < groups_.size(); ++group) {
    const auto wanted = demand(sequence, group, count);
    if (!wanted.ok()) return wanted.status();
  }
  MLXR_ASSIGN_OR_RETURN(const Demand first, demand(sequence, 0, count));
  fulfil(sequence, 0, first);
  for (std::size_t group = 1; group < groups_.size(); ++group)
    fulfil(sequence, group, *demand(sequence, group, count));
  return {};
}

Status PagedKv::extend(SequenceId id, std::int64_t count) {
  MLXR_RETURN_IF_ERROR(reserve(id, count));
  at(id).length += count;
  return {};
}

std::int64_t PagedKv::shortest_truncation(SequenceId id) const {
  const Sequence& sequence = at(id);
  std::int64_t shortest = options_.num_checkpoints > 0 ? committed(id) : 0;
  for (std::size_t group = 0; group < groups_.size(); ++group) {
    const std::int64_t first = sequence.tables[group].first;
    if (first > 0) shortest = std::max(shortest, first * options_.block_tokens + groups_[group].window - 1);
  }
  return shortest;
}

void PagedKv::truncate(SequenceId id, std::int64_t length) {
  Sequence& sequence = resident(id);
  MLXR_CHECK(length >= 0 && length <= sequence.length, "truncate shortens a sequence");
  MLXR_CHECK(length == 0 || length >= shortest_truncation(id), "the window before the new end is still there");
  for (std::size_t group = 0; group < groups_.size(); ++group)
    cut_table(sequence, group, blocks_for(length));
  sequence.length = length;
  if (length < static_cast<std::int64_t>(sequence.tokens.size())) {
    sequence.tokens.resize(static_cast<std::size_t>(length));
    sequence.chain.resize(static_cast<std::size_t>(length / options_.block_tokens));
  }
}

std::span<const std::int32_t> PagedKv::blocks(SequenceId id, int group) const {
  const Sequence& sequence = at(id);
  MLXR_CHECK(!sequence.swapped, "the sequence is not swapped out");
  return std::span(sequence.tables[static_cast<std::size_t>(group)].ids)
      .first(static_cast<std::size_t>(blocks_for(sequence.length)));
}

std::int64_t PagedKv::num_held(SequenceId id, int group) const {
  const Table& table = at(id).tables[static_cast<std::size_t>(group)];
  return static_cast<std::int64_t>(table.ids.size()) - table.first;
}

Result<SequenceId> PagedKv::fork(SequenceId id) {
  const Sequence& parent = resident(id);
  MLXR_CHECK(committed(id) == parent.length, "what is forked is committed");
  MLXR_ASSIGN_OR_RETURN(const SequenceId child_id, open({parent.scope}));
  Sequence& child = at(child_id);
  child.length = parent.length;
  child.tokens = parent.tokens;
  child.chain = parent.chain;
  for (std::size_t group = 0; group < groups_.size(); ++group) {
    const std::span<const std::int32_t> shared = blocks(id, static_cast<int>(group));
    Table& table = child.tables[group];
    table.ids.assign(shared.begin(), shared.end());
    table.first = parent.tables[group].first;
    for (const std::int32_t block : shared.subspan(static_cast<std::size_t>(table.first)))
      groups_[group].pool.retain(block);
  }
  if (options_.num_checkpoints > 0) copy(KvCopyKind::kForkState, 0, id, child_id);
  return child_id;
}

std::vector<KvCopy> PagedKv::take_copies() {
  return std::exchange(copies_, {});
}

KvStats PagedKv::stats() const {
  KvStats result = stats_;
  for (const Group& group : groups_) {
    result.evictions += group.pool.num_evictions();
    result.used_blocks += group.pool.num_used();
    result.cached_blocks += group.pool.num_cached();
    result.free_blocks += group.pool.num_free();
  }
  return result;
}

}  // namespace mlxr
