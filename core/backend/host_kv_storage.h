#pragma once
// HostKvStorage: keys and values in host memory, one tile a (layer, block, kv head):
//   keys   of a layer: [num_blocks][num_kv_heads][block_tokens][key_dim]
//   values of a layer: [num_blocks][num_kv_heads][block_tokens][value_dim]
// A head's keys of a block are one contiguous piece, which attention streams. The pages are the system's zero pages
// until they are written, so that a large pool costs only what is used. Tiles start 64-byte aligned whenever
// block_tokens * dim * element size is a multiple of 64.

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

  void* memory_;
  std::vector<Place> places_;
};

}  // namespace mlxr
