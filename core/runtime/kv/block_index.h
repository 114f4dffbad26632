#pragma once
// Which block holds the content of a name: an open-addressed table of block ids beside the names of all blocks. Fixed
// size, so that a step never allocates for it. One thread.

#include <cstdint>
#include <vector>

#include "core/runtime/kv/block_hash.h"

namespace mlxr {

class BlockIndex {
 public:
  explicit BlockIndex(std::int64_t num_blocks);

  // -1 when no block has this name.
  std::int32_t find(const BlockHash& hash) const;
  bool contains(std::int32_t block) const { return named_[static_cast<std::size_t>(block)] != 0; }
  // The block's name; only when contains(block).
  const BlockHash& hash(std::int32_t block) const { return hashes_[static_cast<std::size_t>(block)]; }
  std::int64_t size() const { return size_; }

  // `block` must have no name, and no other block this one.
  void insert(std::int32_t block, const BlockHash& hash);
  void erase(std::int32_t block);

 private:
  std::size_t home(const BlockHash& hash) const;
  std::size_t slot_of(const BlockHash& hash) const;

  std::vector<BlockHash> hashes_;    // by block
  std::vector<std::uint8_t> named_;  // by block
  std::vector<std::int32_t> slots_;  // block ids or -1; at most half full
  std::int64_t size_ = 0;
};

}  // namespace mlxr
