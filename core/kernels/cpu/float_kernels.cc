#include "core/kernels/cpu/float_kernels.h"

#include <cmath>
#include <numbers>

#include "core/kernels/cpu/target_region.h"

namespace mlxr {
namespace {

float gelu_one(float x) {
  const auto wide = static_cast<double>(x);
  return static_cast<float>(0.5 * wide * (1 + std::erf(wide / std::numbers::sqrt2)));
}

void gelu_array(const float* x, std::int64_t n, float* out) {
  for (std::int64_t i = 0; i < n; ++i)
    out[i] = gelu_one(x[i]);
}

void gelu_gate_arrays(const float* gate, const float* up, std::int64_t n, float* out) {
  for (std::int64_t i = 0; i < n; ++i)
    out[i] = gelu_one(gate[i]) * up[i];
}

}  // namespace

ActivateFn activate_fn(const FloatKernels& kernels, Activation act) {
  const ActivateFn functions[] = {kernels.silu, gelu_array, kernels.gelu_tanh, kernels.relu};
  return functions[static_cast<std::size_t>(act)];
}

GatedFn gated_fn(const FloatKernels& kernels, Activation act) {
  const GatedFn functions[] = {kernels.silu_gate, gelu_gate_arrays, kernels.gelu_tanh_gate, kernels.relu_gate};
  return functions[static_cast<std::size_t>(act)];
}

const FloatKernels& float_kernels(const CpuFeatures& features) {
  if (features.avx512 && float_kernels_avx512() != nullptr) return *float_kernels_avx512();
  if (features.avx2 && float_kernels_avx2() != nullptr) return *float_kernels_avx2();
  if (features.neon && float_kernels_neon() != nullptr) return *float_kernels_neon();
  return float_kernels_scalar();
}

#if !MLXR_X86
const FloatKernels* float_kernels_avx2() {
  return nullptr;
}
const FloatKernels* float_kernels_avx512() {
  return nullptr;
}
#endif
#if !MLXR_ARM64
const FloatKernels* float_kernels_neon() {
  return nullptr;
}
#endif

}  // namespace mlxr
