#include <type_traits>

#include "core/kernels/cpu/float_kernels.h"
#include "core/kernels/cpu/simd_avx2.h"
#include "core/kernels/cpu/unroll.h"

#if MLXR_X86

MLXR_TARGET_REGION_BEGIN(MLXR_TARGET_AVX2)
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
MLXR_TARGET_REGION_END

namespace mlxr {

const FloatKernels* float_kernels_avx2() {
  return &kFloatKernelTable<SimdAvx2>;
}

}  // namespace mlxr

#endif
