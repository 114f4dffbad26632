// Attention and the writing of keys and values, over the tiles of HostKvStorage.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "core/backend/host_kv_storage.h"
#include "core/backend/kv_codec.h"
#include "core/backend/reference/reference_backend.h"
#include "core/base/float16.h"

namespace mlxr {
namespace {

float load_element(const std::byte* data, std::size_t i, KvType type) {
  if (type == KvType::kF32) return reinterpret_cast<const float*>(data)[i];
  const std::uint16_t bits = reinterpret_cast<const std::uint16_t*>(data)[i];
  return type == KvType::kF16 ? f16_to_f32(bits) : bf16_to_f32(bits);
}

void store_element(std::byte* data, std::size_t i, KvType type, float value) {
  if (type == KvType::kF32) {
    reinterpret_cast<float*>(data)[i] = value;
  } else {
    reinterpret_cast<std::uint16_t*>(data)[i] = type == KvType::kF16 ? f32_to_f16(value) : f32_to_bf16(value);
  }
}

// One query row of one head against positions [first, last] of a sequence.
struct QueryRow {
  const HostKvStorage& storage;
  const std::int32_t* blocks;
  std::int64_t layer;
  std::int64_t kv_head;
  std::int64_t first;
  std::int64_t last;
};

// The key or value of one token as the layout keeps it: rotated, in a rotated layout.
void load_key(const HostKvStorage& storage, const std::byte* tile, std::int64_t token, std::vector<float>& out) {
  const KvType type = storage.layout().type;
  const auto n = static_cast<std::int64_t>(out.size());
  if (kv_type_info(type).has_scales()) {
    std::vector<std::byte> row(*kv_row_bytes(type, n));
    gather_key_row(type, tile, n, storage.key_stride(), token, row.data());
    decode_kv_row(type, row.data(), n, out.data());
    return;
  }
  for (std::int64_t i = 0; i < n; ++i)
    out[static_cast<std::size_t>(i)] =
        load_element(tile, static_cast<std::size_t>(i * storage.key_stride() + token), type);
}

void load_value(const HostKvStorage& storage, const std::byte* tile, std::int64_t token, std::vector<float>& out) {
  const KvType type = storage.layout().type;
  const auto n = static_cast<std::int64_t>(out.size());
  if (kv_type_info(type).has_scales()) {
    decode_kv_row(type, tile + static_cast<std::size_t>(token) * *kv_row_bytes(type, n), n, out.data());
    return;
  }
  for (std::int64_t i = 0; i < n; ++i)
    out[static_cast<std::size_t>(i)] = load_element(tile, static_cast<std::size_t>(token * n + i), type);
}

void attend(const QueryRow& row, const float* q, const AttentionParams& params, float* out) {
  const KvLayout& layout = row.storage.layout();
  const KvLayerLayout& dims = layout.layers[static_cast<std::size_t>(row.layer)];
  const bool rotated = is_rotated(layout);
  std::vector<double> query(q, q + dims.key_dim);
  if (rotated) hadamard(query.data(), dims.key_dim);

  std::vector<double> scores;
  std::vector<float> key(query.size());
  for (std::int64_t p = row.first; p <= row.last; ++p) {
    const std::byte* keys = row.storage.key_tile(row.layer, row.blocks[p / layout.block_tokens], row.kv_head);
    load_key(row.storage, keys, p % layout.block_tokens, key);
    double score = 0;
    for (std::size_t i = 0; i < query.size(); ++i)
      score += query[i] * static_cast<double>(key[i]);
    score *= static_cast<double>(params.scale);
    if (params.softcap > 0) {
      const auto cap = static_cast<double>(params.softcap);
      score = cap * std::tanh(score / cap);
    }
    scores.push_back(score);
  }

  const double highest = *std::max_element(scores.begin(), scores.end());
  double total = 0;
  for (double& score : scores) {
    score = std::exp(score - highest);
    total += score;
  }

  std::vector<float> value(static_cast<std::size_t>(dims.value_dim));
  std::vector<double> sum(value.size(), 0.0);
  for (std::int64_t p = row.first; p <= row.last; ++p) {
    const std::byte* values = row.storage.value_tile(row.layer, row.blocks[p / layout.block_tokens], row.kv_head);
    load_value(row.storage, values, p % layout.block_tokens, value);
    const double weight = scores[static_cast<std::size_t>(p - row.first)] / total;
    for (std::size_t i = 0; i < value.size(); ++i)
      sum[i] += weight * static_cast<double>(value[i]);
  }
  if (rotated) hadamard(sum.data(), dims.value_dim);
  for (std::size_t i = 0; i < sum.size(); ++i)
    out[i] = static_cast<float>(sum[i]);
}

// One token's key and value in a type with scales.
void store_row(const HostKvStorage& storage, const KvLayerLayout& dims, std::vector<float> key,
               std::vector<float> value, std::int64_t token, std::byte* keys, std::byte* values) {
  const KvLayout& layout = storage.layout();
  std::vector<std::byte> row(*kv_row_bytes(layout.type, dims.key_dim));
  encode_kv_row(layout, key.data(), dims.key_dim, row.data());
  scatter_key_row(layout.type, row.data(), dims.key_dim, storage.key_stride(), token, keys);
  encode_kv_row(layout, value.data(), dims.value_dim,
                values + static_cast<std::size_t>(token) * *kv_row_bytes(layout.type, dims.value_dim));
}

}  // namespace

void ReferenceBackend::kv_write(const Tensor& k, const Tensor& v, const KvView& view, std::int64_t layer) {
  const HostKvStorage& storage = HostKvStorage::of(view);
  const KvLayout& layout = storage.layout();
  const KvLayerLayout& dims = layout.layers[static_cast<std::size_t>(layer)];
  const auto key_dim = static_cast<std::size_t>(dims.key_dim);
  const auto value_dim = static_cast<std::size_t>(dims.value_dim);
  const auto key_stride = static_cast<std::size_t>(storage.key_stride());
  for (std::int64_t t = 0; t < k.dim(0); ++t) {
    const std::int64_t slot = view.table(layer).slots.data<std::int32_t>()[t];
    const std::int64_t block = slot / layout.block_tokens;
    const auto offset = static_cast<std::size_t>(slot % layout.block_tokens);
    for (std::int64_t h = 0; h < dims.num_kv_heads; ++h) {
      const auto row = static_cast<std::size_t>(t * dims.num_kv_heads + h);
      const float* from_k = k.data<float>() + row * key_dim;
      const float* from_v = v.data<float>() + row * value_dim;
      std::byte* keys = storage.key_tile(layer, block, h);
      std::byte* values = storage.value_tile(layer, block, h);
      if (kv_type_info(layout.type).has_scales()) {
        store_row(storage, dims, {from_k, from_k + key_dim}, {from_v, from_v + value_dim},
                  static_cast<std::int64_t>(offset), keys, values);
        continue;
      }
      for (std::size_t i = 0; i < key_dim; ++i)
        store_element(keys, i * key_stride + offset, layout.type, from_k[i]);
      for (std::size_t i = 0; i < value_dim; ++i)
        store_element(values, offset * value_dim + i, layout.type, from_v[i]);
    }
  }
}

Tensor ReferenceBackend::attention(const Tensor& q, const KvView& view, std::int64_t layer,
                                   const AttentionParams& params) {
  const HostKvStorage& storage = HostKvStorage::of(view);
  const KvLayerLayout& dims = storage.layout().layers[static_cast<std::size_t>(layer)];
  const std::int64_t heads = q.dim(1);
  const std::int64_t group = heads / dims.num_kv_heads;
  Tensor out = alloc({q.dim(0), heads, dims.value_dim}, DType::kF32);
  const Tensor& table = view.table(layer).block_table;
  const auto* starts = view.query_start.data<std::int32_t>();
  for (std::int64_t s = 0; s < view.context_len.dim(0); ++s) {
    const std::int64_t context = view.context_len.data<std::int32_t>()[s];
    const std::int32_t* blocks = table.data<std::int32_t>() + s * table.dim(1);
    for (std::int64_t t = starts[s]; t < starts[s + 1]; ++t) {
      const std::int64_t position = context - (starts[s + 1] - t);
      const std::int64_t first = params.window > 0 ? std::max<std::int64_t>(0, position - params.window + 1) : 0;
      for (std::int64_t h = 0; h < heads; ++h) {
        const auto row = static_cast<std::size_t>(t * heads + h);
        attend({storage, blocks, layer, h / group, first, position},
               q.data<float>() + row * static_cast<std::size_t>(dims.key_dim), params,
               out.data<float>() + row * static_cast<std::size_t>(dims.value_dim));
      }
    }
  }
  return out;
}

}  // namespace mlxr
