// What must hold in PagedKv at any time.

#include <fmt/core.h>

#include "core/base/check.h"
#include "core/runtime/kv/paged_kv.h"

namespace mlxr {

// One table of an open sequence: as long as its tokens need, ids in range, full committed blocks under their names.
Status PagedKv::check_table(const Sequence& sequence, std::size_t group) const {
  const Table& table = sequence.tables[group];
  const auto entries = static_cast<std::int64_t>(table.ids.size());
  const BlockPool& pool = groups_[group].pool;
  if (entries < blocks_for(sequence.length) || (sequence.swapped && entries != blocks_for(sequence.length))) {
    return internal(fmt::format("group {} has {} blocks for {} tokens", group, entries, sequence.length));
  }
  const std::int64_t seen = first_seen(groups_[group], static_cast<std::int64_t>(sequence.tokens.size()));
  if (table.first > seen || table.first > entries) {
    return internal(fmt::format("group {} dropped {} blocks, {} are before the window", group, table.first, seen));
  }
  const std::int64_t limit = sequence.swapped ? groups_[group].swap.num_slots() : pool.num_blocks();
  for (std::int64_t entry = 0; entry < entries; ++entry) {
    const std::int32_t block = table.ids[static_cast<std::size_t>(entry)];
    if (block < 0 || block >= limit || (entry < table.first && block != 0)) {
      return internal(fmt::format("group {} entry {} is {}", group, entry, block));
    }
    if (sequence.swapped || entry < table.first) continue;
    const bool full = entry < static_cast<std::int64_t>(sequence.chain.size());
    if (full && !(pool.published(block) && pool.hash(block) == sequence.chain[static_cast<std::size_t>(entry)])) {
      return internal(
          fmt::format("group {} entry {}: block {} does not have the name of its tokens", group, entry, block));
    }
    if (entry >= blocks_for(sequence.length) && (pool.published(block) || pool.references(block) != 1)) {
      return internal(
          fmt::format("group {} entry {}: reserved block {} is not the sequence's own", group, entry, block));
    }
  }
  return {};
}

Status PagedKv::check_tables(const Sequence& sequence, SequenceId id) const {
  const auto fail = [id](const Status& status) { return status.with_context(fmt::format("sequence {}", id)); };
  const auto num_committed = static_cast<std::int64_t>(sequence.tokens.size());
  if (num_committed > sequence.length || sequence.length > options_.max_length ||
      static_cast<std::int64_t>(sequence.chain.size()) != num_committed / options_.block_tokens) {
    return fail(internal(fmt::format("length {}, {} tokens committed, {} blocks named", sequence.length, num_committed,
                                     sequence.chain.size())));
  }
  for (std::size_t group = 0; group < groups_.size(); ++group) {
    if (const Status status = check_table(sequence, group); !status.ok()) return fail(status);
  }
  return {};
}

Status PagedKv::check_integrity() const {
  std::int64_t num_open = 0;
  for (SequenceId id = 0; id < options_.max_sequences; ++id) {
    const Sequence& sequence = sequences_[static_cast<std::size_t>(id)];
    num_open += sequence.open ? 1 : 0;
    if (sequence.open) MLXR_RETURN_IF_ERROR(check_tables(sequence, id));
  }
  if (num_open + static_cast<std::int64_t>(closed_.size()) != options_.max_sequences) {
    return internal(fmt::format("{} sequences are open and {} closed", num_open, closed_.size()));
  }
  for (std::size_t group = 0; group < groups_.size(); ++group) {
    std::vector<std::int32_t> references(static_cast<std::size_t>(groups_[group].pool.num_blocks()), 0);
    std::int64_t slots = 0;
    for (const Sequence& sequence : sequences_) {
      const Table& table = sequence.tables[group];
      if (!sequence.open && (!table.ids.empty() || table.first != 0)) {
        return internal(fmt::format("a closed sequence has {} blocks in group {}", table.ids.size(), group));
      }
      for (auto entry = static_cast<std::size_t>(table.first); entry < table.ids.size(); ++entry) {
        if (sequence.swapped) {
          ++slots;
        } else {
          ++references[static_cast<std::size_t>(table.ids[entry])];
        }
      }
    }
    const auto where = [group](const Status& status) { return status.with_context(fmt::format("group {}", group)); };
    if (const Status status = groups_[group].pool.check_integrity(references); !status.ok()) return where(status);
    if (slots + groups_[group].swap.num_free() != groups_[group].swap.num_slots()) {
      return where(internal(fmt::format("{} host slots are in use and {} free, of {}", slots,
                                        groups_[group].swap.num_free(), groups_[group].swap.num_slots())));
    }
  }
  const std::vector<std::int32_t> none(static_cast<std::size_t>(checkpoints_.num_blocks()), 0);
  const Status status = checkpoints_.check_integrity(none);
  return status.ok() ? status : status.with_context("checkpoints");
}

}  // namespace mlxr
