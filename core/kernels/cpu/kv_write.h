#pragma once
// Writing new keys and values into the tiles of a HostKvStorage. A key becomes a column of its tile, so work is shared
// out by kv heads and each head goes through the tokens in order: the cache lines of a tile stay in the L1 cache while
// the columns of a block are filled.

#include <cstdint>

#include "core/backend/kv_storage.h"
#include "core/kernels/cpu/float_kernels.h"

namespace mlxr {

std::int64_t kv_write_scratch(const KvLayerLayout& layer);

// Stores head `kv_head` of all tokens: k [tokens, kv_heads, key_dim], v [tokens, kv_heads, value_dim]. Heads may be
// written by different threads at the same time. `scratch` has kv_write_scratch() floats.
void write_kv_head(const Tensor& k, const Tensor& v, const KvView& view, std::int64_t layer, std::int64_t kv_head,
                   const FloatKernels& kernels, float* scratch);

}  // namespace mlxr
