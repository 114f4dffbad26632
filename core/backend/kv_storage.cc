#include "core/backend/kv_storage.h"

namespace mlxr {
namespace {

std::size_t layer_token_bytes(const KvLayerLayout& layer, KvType type) {
  const auto key = kv_row_bytes(type, layer.key_dim);
  const auto value = kv_row_bytes(type, layer.value_dim);
  return key && value ? static_cast<std::size_t>(layer.num_kv_heads) * (*key + *value) : 0;
}

}  // namespace

std::size_t KvLayout::bytes() const {
  std::size_t total = 0;
  for (const KvLayerLayout& layer : layers) {
    const std::int64_t tokens = num_blocks[static_cast<std::size_t>(layer.group)] * block_tokens;
    total += layer_token_bytes(layer, type) * static_cast<std::size_t>(tokens);
  }
  return total;
}

std::size_t KvLayout::bytes_per_token() const {
  std::size_t total = 0;
  for (const KvLayerLayout& layer : layers)
    total += layer_token_bytes(layer, type);
  return total;
}

}  // namespace mlxr
