#include <type_traits>

#include "core/kernels/cpu/float_kernels.h"
#include "core/kernels/cpu/simd_neon.h"
#include "core/kernels/cpu/unroll.h"

#if MLXR_ARM64

// Each of these builds on those before.
// clang-format off
#include "core/kernels/cpu/simd_math.h"
#include "core/kernels/cpu/norm_kernel.inl.h"
#include "core/kernels/cpu/rope_kernel.inl.h"
#include "core/kernels/cpu/elementwise_kernel.inl.h"
#include "core/kernels/cpu/attention_kv.inl.h"
#include "core/kernels/cpu/attention_kernel.inl.h"
#include "core/kernels/cpu/float_kernel_table.inl.h"
// clang-format on

namespace mlxr {

const FloatKernels* float_kernels_neon() {
  return &kFloatKernelTable<SimdNeon>;
}

}  // namespace mlxr

#endif
