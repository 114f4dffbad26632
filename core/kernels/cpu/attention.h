#pragma once
// Attention over paged keys and values, shared out between threads.
//
// A unit of work is a tile of query tokens (all query heads of one kv head together, about 48 rows) of one sequence.
// When there are too few units for the threads, as in the decoding of a long context, a unit is cut further into ranges
// of positions (AttentionCuts) whose partial results are merged afterwards. The partial results and the order of the
// merges are the same without the cut, so that the bits are too.

#include <cstdint>

#include "core/backend/backend.h"
#include "core/backend/step_pool.h"
#include "core/base/thread_pool.h"
#include "core/kernels/cpu/float_kernels.h"

namespace mlxr {

// q [tokens, heads, key_dim], out [tokens, heads, value_dim]; the view's storage is a HostKvStorage. Scratch comes from
// `scratch_pool`. See Backend::attention for the meaning.
void attend_batch(const Tensor& q, const KvView& view, std::int64_t layer, const AttentionParams& params,
                  const FloatKernels& kernels, ThreadPool& threads, StepPool& scratch_pool, const Tensor& out);

}  // namespace mlxr
