#include "core/runtime/kv/block_index.h"

#include <bit>
#include <cstring>

#include "core/base/check.h"

namespace mlxr {

BlockIndex::BlockIndex(std::int64_t num_blocks)
    : hashes_(static_cast<std::size_t>(num_blocks)),
      named_(static_cast<std::size_t>(num_blocks), 0),
      slots_(std::bit_ceil(2 * static_cast<std::size_t>(num_blocks) + 2), -1) {}

std::size_t BlockIndex::home(const BlockHash& hash) const {
  std::uint64_t word;
  std::memcpy(&word, hash.bytes.data(), sizeof word);
  return static_cast<std::size_t>(word) & (slots_.size() - 1);
}

// Where `hash` is, or the empty slot where it would go.
std::size_t BlockIndex::slot_of(const BlockHash& hash) const {
  std::size_t slot = home(hash);
  while (slots_[slot] >= 0 && !(hashes_[static_cast<std::size_t>(slots_[slot])] == hash))
    slot = (slot + 1) & (slots_.size() - 1);
  return slot;
}

std::int32_t BlockIndex::find(const BlockHash& hash) const {
  return slots_[slot_of(hash)];
}

void BlockIndex::insert(std::int32_t block, const BlockHash& hash) {
  const std::size_t slot = slot_of(hash);
  MLXR_CHECK(slots_[slot] < 0 && !contains(block), "a block has one name, and a name one block");
  slots_[slot] = block;
  hashes_[static_cast<std::size_t>(block)] = hash;
  named_[static_cast<std::size_t>(block)] = 1;
  ++size_;
}

void BlockIndex::erase(std::int32_t block) {
  MLXR_CHECK(contains(block), "only a named block loses its name");
  std::size_t hole = slot_of(hash(block));
  // What follows moves up, unless that would take it before its home.
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t next = (hole + 1) & mask; slots_[next] >= 0; next = (next + 1) & mask) {
    const std::size_t distance = (next - home(hash(slots_[next]))) & mask;
    if (distance < ((next - hole) & mask)) continue;
    slots_[hole] = slots_[next];
    hole = next;
  }
  slots_[hole] = -1;
  named_[static_cast<std::size_t>(block)] = 0;
  --size_;
}

}  // namespace mlxr
