#include "core/kernels/cpu/kv_write.h"

#include "core/backend/host_kv_storage.h"

namespace mlxr {
namespace {

template <class Element>
void scatter_column(const void* column, std::int64_t n, std::int64_t stride, std::byte* to) {
  const auto* from = static_cast<const Element*>(column);
  auto* tile = reinterpret_cast<Element*>(to);
  for (std::int64_t i = 0; i < n; ++i)
    tile[i * stride] = from[i];
}

}  // namespace

void write_kv_head(const Tensor& k, const Tensor& v, const KvView& view, std::int64_t layer, std::int64_t kv_head,
                   const FloatKernels& kernels, float* column) {
  const HostKvStorage& storage = HostKvStorage::of(view);
  const KvLayout& layout = storage.layout();
  const KvLayerLayout& dims = layout.layers[static_cast<std::size_t>(layer)];
  const auto element = kv_type_info(layout.type).code_bits / 8;
  for (std::int64_t t = 0; t < k.dim(0); ++t) {
    const std::int64_t slot = view.table(layer).slots.data<std::int32_t>()[t];
    const std::int64_t block = slot / layout.block_tokens;
    const std::int64_t offset = slot % layout.block_tokens;
    const std::int64_t row = t * dims.num_kv_heads + kv_head;

    kernels.convert(k.data<float>() + row * dims.key_dim, layout.type, dims.key_dim, column);
    std::byte* key = storage.key_tile(layer, block, kv_head) + offset * element;
    if (layout.type == KvType::kF32) {
      scatter_column<float>(column, dims.key_dim, storage.key_stride(), key);
    } else {
      scatter_column<std::uint16_t>(column, dims.key_dim, storage.key_stride(), key);
    }
    kernels.convert(v.data<float>() + row * dims.value_dim, layout.type, dims.value_dim,
                    storage.value_tile(layer, block, kv_head) + offset * dims.value_dim * element);
  }
}

}  // namespace mlxr
