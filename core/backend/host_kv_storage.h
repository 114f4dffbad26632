#pragma once
// HostKvStorage: keys and values in host memory, one tile a (layer, block, kv head):
//   keys   of a layer: [num_blocks][num_kv_heads][key_dim][key_stride], transposed: a column a token
//   values of a layer: [num_blocks][num_kv_heads][block_tokens][value_dim]
// for types without scales; kv_codec.h says what a tile is for those with scales.
// key_stride is block_tokens rounded up to 16. With keys transposed, a vector of scores (one lane a position) is a sum
// of key rows times query elements: no sum across lanes, and a score's order of additions is that of the dimensions
// whatever the vector width or the number of queries. Values are added up position by position likewise.
//
// A tile is one contiguous piece, which attention streams; it starts 64-byte aligned when its size is a multiple of 64.
// Reads may run up to 64 bytes past the end of a tile. Pages are the system's zero pages until they are written, so
// that a large pool costs only what is used.
//
// A block as read_block gives it: for each layer of the group in order, the key tiles of its kv heads, then the value
// tiles, as they lie in memory.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/backend/kv_storage.h"
#include "core/base/status.h"

namespace mlxr {

class HostKvStorage : public KvStorage {
 public:
  // kInvalidArgument for a layout without sense, kResourceExhausted when the system refuses the memory.
  static Result<std::unique_ptr<KvStorage>> make(const KvLayout& layout);
  ~HostKvStorage() override;
  HostKvStorage(const HostKvStorage&) = delete;
  HostKvStorage& operator=(const HostKvStorage&) = delete;

  std::byte* key_tile(std::int64_t layer, std::int64_t block, std::int64_t kv_head) const {
    const Place& place = places_[static_cast<std::size_t>(layer)];
    return place.keys + static_cast<std::size_t>(block * place.num_kv_heads + kv_head) * place.key_tile_bytes;
  }
  std::byte* value_tile(std::int64_t layer, std::int64_t block, std::int64_t kv_head) const {
    const Place& place = places_[static_cast<std::size_t>(layer)];
    return place.values + static_cast<std::size_t>(block * place.num_kv_heads + kv_head) * place.value_tile_bytes;
  }

  // Elements from one dimension of a key tile to the next.
  std::int64_t key_stride() const { return key_stride_for(layout().block_tokens); }
  static std::int64_t key_stride_for(std::int64_t block_tokens) { return (block_tokens + 15) / 16 * 16; }
  // Bytes from a block's tile to the same head's tile of the next block.
  std::size_t key_block_bytes(std::int64_t layer) const {
    const Place& place = places_[static_cast<std::size_t>(layer)];
    return place.key_tile_bytes * static_cast<std::size_t>(place.num_kv_heads);
  }
  std::size_t value_block_bytes(std::int64_t layer) const {
    const Place& place = places_[static_cast<std::size_t>(layer)];
    return place.value_tile_bytes * static_cast<std::size_t>(place.num_kv_heads);
  }

  std::size_t block_bytes(std::int64_t group) const override;
  Status read_block(std::int64_t group, std::int64_t block, std::span<std::byte> out) override;
  Status write_block(std::int64_t group, std::int64_t block, std::span<const std::byte> bytes) override;
  void copy_block(std::int64_t group, std::int64_t from, std::int64_t to) override;
  std::string fingerprint() const override;

  // The storage of a view that a host backend made.
  static const HostKvStorage& of(const KvView& view);

 private:
  struct Place {
    std::byte* keys = nullptr;
    std::byte* values = nullptr;
    std::int64_t num_kv_heads = 0;
    std::size_t key_tile_bytes = 0;
    std::size_t value_tile_bytes = 0;
  };
  HostKvStorage(KvLayout layout, void* memory, std::vector<Place> places)
      : KvStorage(std::move(layout)), memory_(memory), places_(std::move(places)) {}

  void check_place(std::int64_t group, std::int64_t block) const;
  Status check_size(std::int64_t group, std::size_t bytes) const;
  // Calls fn(address, bytes) for the pieces of a block in the order that read_block gives them.
  template <class Fn>
  void for_each_piece(std::int64_t group, std::int64_t block, Fn fn) const {
    check_place(group, block);
    for (std::size_t i = 0; i < places_.size(); ++i) {
      if (layout().layers[i].group != group) continue;
      const auto layer = static_cast<std::int64_t>(i);
      fn(key_tile(layer, block, 0), key_block_bytes(layer));
      fn(value_tile(layer, block, 0), value_block_bytes(layer));
    }
  }

  void* memory_;
  std::vector<Place> places_;
};

}  // namespace mlxr
