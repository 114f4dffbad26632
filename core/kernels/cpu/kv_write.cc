#include "core/kernels/cpu/kv_write.h"

#include <algorithm>

#include "core/backend/host_kv_storage.h"
#include "core/backend/kv_codec.h"

namespace mlxr {
namespace {

template <class Element>
void scatter_column(const void* column, std::int64_t n, std::int64_t stride, std::byte* to) {
  const auto* from = static_cast<const Element*>(column);
  auto* tile = reinterpret_cast<Element*>(to);
  for (std::int64_t i = 0; i < n; ++i)
    tile[i * stride] = from[i];
}

struct KvToken {
  const HostKvStorage& storage;
  std::int64_t layer;
  std::int64_t kv_head;
  std::int64_t block;
  std::int64_t offset;  // in the block
};

// One token in a type with scales.
void write_scaled(const KvToken& token, const float* key, const float* value, float* scratch) {
  const KvLayout& layout = token.storage.layout();
  const KvLayerLayout& dims = layout.layers[static_cast<std::size_t>(token.layer)];
  float* x = scratch;
  auto* row = reinterpret_cast<std::byte*>(scratch + std::max(dims.key_dim, dims.value_dim));
  std::copy_n(key, dims.key_dim, x);
  encode_kv_row(layout, x, dims.key_dim, row);
  scatter_key_row(layout.type, row, dims.key_dim, token.storage.key_stride(), token.offset,
                  token.storage.key_tile(token.layer, token.block, token.kv_head));
  std::copy_n(value, dims.value_dim, x);
  const std::size_t value_bytes = *kv_row_bytes(layout.type, dims.value_dim);
  encode_kv_row(layout, x, dims.value_dim,
                token.storage.value_tile(token.layer, token.block, token.kv_head) +
                    static_cast<std::size_t>(token.offset) * value_bytes);
}

}  // namespace

std::int64_t kv_write_scratch(const KvLayerLayout& layer) {
  return 2 * std::max(layer.key_dim, layer.value_dim) + 1;
}

void write_kv_head(const Tensor& k, const Tensor& v, const KvView& view, std::int64_t layer, std::int64_t kv_head,
                   const FloatKernels& kernels, float* scratch) {
  const HostKvStorage& storage = HostKvStorage::of(view);
  const KvLayout& layout = storage.layout();
  const KvLayerLayout& dims = layout.layers[static_cast<std::size_t>(layer)];
  const auto element = kv_type_info(layout.type).code_bits / 8;
  for (std::int64_t t = 0; t < k.dim(0); ++t) {
    const std::int64_t slot = view.table(layer).slots.data<std::int32_t>()[t];
    const std::int64_t block = slot / layout.block_tokens;
    const std::int64_t offset = slot % layout.block_tokens;
    const std::int64_t row = t * dims.num_kv_heads + kv_head;

    if (kv_type_info(layout.type).has_scales()) {
      const KvToken token{storage, layer, kv_head, block, offset};
      write_scaled(token, k.data<float>() + row * dims.key_dim, v.data<float>() + row * dims.value_dim, scratch);
      continue;
    }
    kernels.convert(k.data<float>() + row * dims.key_dim, layout.type, dims.key_dim, scratch);
    std::byte* key = storage.key_tile(layer, block, kv_head) + offset * element;
    if (layout.type == KvType::kF32) {
      scatter_column<float>(scratch, dims.key_dim, storage.key_stride(), key);
    } else {
      scatter_column<std::uint16_t>(scratch, dims.key_dim, storage.key_stride(), key);
    }
    kernels.convert(v.data<float>() + row * dims.value_dim, layout.type, dims.value_dim,
                    storage.value_tile(layer, block, kv_head) + offset * dims.value_dim * element);
  }
}

}  // namespace mlxr
