// Sequences of PagedKv that wait in host memory.

#include <algorithm>

#include <fmt/core.h>

#include "core/base/check.h"
#include "core/runtime/kv/paged_kv.h"

namespace mlxr {

bool PagedKv::can_swap_out(SequenceId id) const {
  const Sequence& sequence = at(id);
  for (std::size_t group = 0; group < groups_.size(); ++group) {
    const std::int64_t wanted = blocks_for(sequence.length) - sequence.tables[group].first;
    if (wanted > groups_[group].swap.num_free()) return false;
  }
  return true;
}

Status PagedKv::swap_out(SequenceId id) {
  Sequence& sequence = resident(id);
  if (!can_swap_out(id)) {
    return resource_exhausted(fmt::format("the swap space of {} blocks has no room for a sequence of {} tokens",
                                          options_.swap_blocks, sequence.length));
  }
  for (std::size_t group = 0; group < groups_.size(); ++group) {
    cut_table(sequence, group, blocks_for(sequence.length));
    Table& table = sequence.tables[group];
    // The last block first, as cut_table() releases.
    for (auto entry = static_cast<std::int64_t>(table.ids.size()) - 1; entry >= table.first; --entry) {
      std::int32_t& id_of_entry = table.ids[static_cast<std::size_t>(entry)];
      const std::int32_t slot = groups_[group].swap.take();
      copy(KvCopyKind::kToHost, group, id_of_entry, slot);
      groups_[group].pool.release(id_of_entry);
      id_of_entry = slot;
      ++stats_.swapped_out;
    }
  }
  sequence.swapped = true;
  return {};
}

Status PagedKv::swap_in(SequenceId id) {
  Sequence& sequence = at(id);
  MLXR_CHECK(sequence.swapped, "the sequence is swapped out");
  for (std::size_t group = 0; group < groups_.size(); ++group) {
    const Table& table = sequence.tables[group];
    const BlockPool& pool = groups_[group].pool;
    auto wanted = static_cast<std::int64_t>(table.ids.size()) - table.first;
    // What another sequence uses costs nothing; what is cached is a block that can then not be evicted.
    for (auto block = static_cast<std::size_t>(table.first); block < sequence.chain.size(); ++block) {
      const std::int32_t known = pool.find(sequence.chain[block]);
      if (known >= 0 && pool.references(known) > 0) --wanted;
    }
    if (wanted > pool.num_available()) {
      return resource_exhausted(fmt::format(
          "the KV cache is full: {} blocks wanted to swap a sequence in, {} can be had", wanted, pool.num_available()));
    }
  }
  for (std::size_t group = 0; group < groups_.size(); ++group) {
    Table& table = sequence.tables[group];
    BlockPool& pool = groups_[group].pool;
    // What is known is held before anything is taken, which could evict it.
    std::vector<std::int32_t> slots = table.ids;
    const std::size_t full = std::min(sequence.chain.size(), table.ids.size());
    for (auto block = static_cast<std::size_t>(table.first); block < table.ids.size(); ++block) {
      const std::int32_t known = block < full ? pool.find(sequence.chain[block]) : -1;
      table.ids[block] = known;
      if (known >= 0) pool.retain(known);
    }
    for (auto block = static_cast<std::size_t>(table.first); block < table.ids.size(); ++block) {
      if (table.ids[block] < 0) {
        table.ids[block] = pool.take();
        copy(KvCopyKind::kFromHost, group, slots[block], table.ids[block]);
        if (block < full) pool.publish(table.ids[block], sequence.chain[block]);
        ++stats_.swapped_in;
      }
      groups_[group].swap.give_back(slots[block]);
    }
  }
  sequence.swapped = false;
  return {};
}

}  // namespace mlxr
