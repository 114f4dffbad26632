#include "core/backend/host_kv_storage.h"

#include <cstdlib>
#include <optional>
#include <string>

#include "core/base/check.h"
#include "core/base/checked.h"

namespace mlxr {
namespace {

constexpr std::size_t kAlignment = 64;
// Attention may read up to one vector past the end of a tile.
constexpr std::size_t kSlack = 64;

// num_blocks * kv_heads * tile_tokens * dim * element size; nullopt on overflow or a size below one.
std::optional<std::size_t> tiles_bytes(const KvLayout& layout, std::int64_t kv_heads, std::int64_t tile_tokens,
                                       std::int64_t dim) {
  std::int64_t total = static_cast<std::int64_t>(dtype_bytes(layout.dtype));
  for (const std::int64_t factor : {layout.num_blocks, kv_heads, tile_tokens, dim}) {
    if (factor < 1) return std::nullopt;
    const auto product = checked_mul(total, factor);
    if (!product) return std::nullopt;
    total = *product;
  }
  return static_cast<std::size_t>(total);
}

std::size_t round_up(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

Result<std::unique_ptr<KvStorage>> HostKvStorage::make(const KvLayout& layout) {
  if (layout.dtype == DType::kI32) return invalid_argument("keys and values are f32, f16 or bf16, not i32");
  constexpr std::int64_t kMaxBlockTokens = 1 << 20;
  if (layout.block_tokens < 1 || layout.block_tokens > kMaxBlockTokens) {
    return invalid_argument("a block of " + std::to_string(layout.block_tokens) + " tokens is out of range");
  }
  const std::int64_t key_stride = key_stride_for(layout.block_tokens);
  constexpr std::size_t kMaxBytes = SIZE_MAX / 4;
  std::vector<Place> places;
  std::vector<std::size_t> offsets;
  std::size_t total = kAlignment + kSlack;
  for (std::size_t i = 0; i < layout.layers.size(); ++i) {
    const KvLayerLayout& layer = layout.layers[i];
    const auto key_bytes = tiles_bytes(layout, layer.num_kv_heads, key_stride, layer.key_dim);
    const auto value_bytes = tiles_bytes(layout, layer.num_kv_heads, layout.block_tokens, layer.value_dim);
    if (!key_bytes || !value_bytes) {
      return invalid_argument("the key and value sizes of layer " + std::to_string(i) + " are out of range");
    }
    const std::size_t tiles = static_cast<std::size_t>(layout.num_blocks * layer.num_kv_heads);
    Place place;
    place.num_kv_heads = layer.num_kv_heads;
    place.key_tile_bytes = *key_bytes / tiles;
    place.value_tile_bytes = *value_bytes / tiles;
    places.push_back(place);
    for (const std::size_t bytes : {*key_bytes, *value_bytes}) {
      offsets.push_back(total - kSlack - kAlignment);
      if (bytes > kMaxBytes || total > kMaxBytes) {
        return resource_exhausted("the key and value cache does not fit the address space");
      }
      total += round_up(bytes);
    }
  }
  void* memory = std::calloc(total, 1);
  if (memory == nullptr) {
    return resource_exhausted("no memory for a key and value cache of " + std::to_string(total) + " bytes");
  }
  const auto start = reinterpret_cast<std::uintptr_t>(memory);
  std::byte* base = static_cast<std::byte*>(memory) + (round_up(start) - start);
  for (std::size_t i = 0; i < places.size(); ++i) {
    places[i].keys = base + offsets[2 * i];
    places[i].values = base + offsets[2 * i + 1];
  }
  return std::unique_ptr<KvStorage>(new HostKvStorage(layout, memory, std::move(places)));
}

HostKvStorage::~HostKvStorage() {
  std::free(memory_);
}

const HostKvStorage& HostKvStorage::of(const KvView& view) {
  const auto* storage = dynamic_cast<const HostKvStorage*>(view.storage);
  MLXR_CHECK(storage != nullptr, "the KV storage was made by another backend");
  return *storage;
}

}  // namespace mlxr
