#pragma once
// The float kernels of one instruction set, as a table of functions. Each is a plain computation on arrays for one
// thread, and gives a row the same bits whatever else it is called with; threads are the caller's business
// (cpu_backend.cc, attention.cc). Arrays may have any alignment and, unless said otherwise, must not overlap.

#include <cstdint>

#include "core/backend/backend.h"
#include "core/base/cpu_features.h"
#include "core/kernels/cpu/attention_task.h"

namespace mlxr {

using ActivateFn = void (*)(const float* x, std::int64_t n, float* out);
using GatedFn = void (*)(const float* gate, const float* up, std::int64_t n, float* out);

struct FloatKernels {
  Isa isa;

  // One row. `addend` nullptr: out = norm(x); else sum = x + addend, out = norm(sum). Weight [n].
  void (*rms_norm)(const float* x, const float* addend, float* sum, const float* weight, float eps, std::int64_t n,
                   float* out);
  // One row; bias may be nullptr.
  void (*layer_norm)(const float* x, const float* weight, const float* bias, float eps, std::int64_t n, float* out);

  // All heads of one token: x, out [heads, head_dim]; table [dim]: cosines, then sines. pair_table [2 * dim] is scratch
  // for the interleaved style.
  void (*rope)(const float* x, const float* table, RopeStyle style, std::int64_t heads, std::int64_t head_dim,
               std::int64_t dim, float* pair_table, float* out);

  // out = act(x); out = act(gate) * up. x or gate may be the same array as out.
  ActivateFn silu;
  ActivateFn gelu_tanh;
  ActivateFn relu;
  GatedFn silu_gate;
  GatedFn gelu_tanh_gate;
  GatedFn relu_gate;

  void (*add)(const float* a, const float* b, std::int64_t n, float* out);
  void (*scale)(const float* x, float factor, std::int64_t n, float* out);
  void (*softcap)(const float* x, float cap, std::int64_t n, float* out);
  void (*exp)(const float* x, std::int64_t n, float* out);

  // x in a storage type: kF32, kF16 or kBF16.
  void (*convert)(const float* x, KvType type, std::int64_t n, void* out);

  // The partial result of a range, from nothing.
  void (*attend)(const AttentionTask& task, const AttentionState& state);
  // Adds a partial result to a total, row by row; a total with maximum -infinity becomes the partial result.
  void (*merge)(std::int64_t rows, std::int64_t acc_stride, const AttentionState& part, const AttentionState& total);
  // out[i] = acc[i] / sum, one row of n
  void (*finish)(const float* acc, float sum, std::int64_t n, float* out);
};

// The functions of an activation. Exact GELU has no vector form: it is computed with the C library's erf.
ActivateFn activate_fn(const FloatKernels& kernels, Activation act);
GatedFn gated_fn(const FloatKernels& kernels, Activation act);

// The best kernels that `features` can run.
const FloatKernels& float_kernels(const CpuFeatures& features);

const FloatKernels& float_kernels_scalar();
// nullptr where the program was built for another processor.
const FloatKernels* float_kernels_avx2();
const FloatKernels* float_kernels_avx512();
const FloatKernels* float_kernels_neon();

}  // namespace mlxr
