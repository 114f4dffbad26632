#pragma once
// Storage of keys and values, and the view of it that one step computes with. Storage is paged from the start: a pool
// of blocks of `block_tokens` tokens; a sequence is a row of block ids. Which block belongs to whom is the business of
// core/runtime/kv, in integers only; a backend sees ids.

#include <cstdint>
#include <vector>

#include "core/tensor/tensor.h"

namespace mlxr {

struct KvLayerLayout {
  std::int64_t num_kv_heads = 0;
  std::int64_t key_dim = 0;
  std::int64_t value_dim = 0;
};

struct KvLayout {
  std::vector<KvLayerLayout> layers;
  std::int64_t num_blocks = 0;
  std::int64_t block_tokens = 32;
  DType dtype = DType::kF16;  // kF32, kF16 or kBF16

  std::size_t bytes() const {
    std::int64_t per_token = 0;
    for (const KvLayerLayout& layer : layers)
      per_token += layer.num_kv_heads * (layer.key_dim + layer.value_dim);
    return static_cast<std::size_t>(per_token * num_blocks * block_tokens) * dtype_bytes(dtype);
  }
};

// Made by Backend::make_kv_storage; the layout of the bytes is the backend's own.
class KvStorage {
 public:
  explicit KvStorage(KvLayout layout) : layout_(std::move(layout)) {}
  virtual ~KvStorage() = default;
  const KvLayout& layout() const { return layout_; }

 private:
  KvLayout layout_;
};

// The part of the storage that one step reads and writes. The i32 tensors are inputs of the step: a captured graph
// replays with new contents at the same addresses. Tokens of one sequence are adjacent in the batch.
struct KvView {
  KvStorage* storage = nullptr;
  Tensor block_table;            // i32 [num_sequences, max_blocks]: block ids of each sequence in order
  Tensor query_start;            // i32 [num_sequences + 1]: first batch row of each sequence, then the number of tokens
  Tensor context_len;            // i32 [num_sequences]: tokens in the cache after this step's kv_write
  Tensor slots;                  // i32 [tokens]: block id * block_tokens + offset, where each new token is written
  std::int64_t max_context = 0;  // host copy of the largest context_len, for launch geometry
};

}  // namespace mlxr
