#pragma once
// Blocks as bytes of a file: a mapping gives no alignment, so blocks are copied in and out.

#include <cstddef>
#include <cstring>
#include <type_traits>

namespace mlxr {

// Block `i` of a packed array.
template <class Block>
Block load_block(const std::byte* blocks, std::size_t i) {
  static_assert(std::is_trivially_copyable_v<Block>);
  Block block;
  std::memcpy(&block, blocks + i * sizeof(Block), sizeof(Block));
  return block;
}

template <class Block>
void store_block(std::byte* blocks, std::size_t i, const Block& block) {
  static_assert(std::is_trivially_copyable_v<Block>);
  std::memcpy(blocks + i * sizeof(Block), &block, sizeof(Block));
}

}  // namespace mlxr
