// Matmul kernels for NEON without sdot (Armv8.0).

#include "core/kernels/cpu/target_region.h"

#if MLXR_ARM64

#include <arm_neon.h>

#include <cstring>
#include <type_traits>

#include "core/kernels/cpu/matmul_kernels.h"
#include "core/kernels/cpu/simd_neon.h"
#include "core/kernels/cpu/unroll.h"
#include "core/kernels/cpu/weight_groups.h"

namespace mlxr::dot_neon {

inline constexpr bool kDotprod = false;
inline constexpr int kFewTokens = 4;

// Never called: dot_some has another way.
inline int32x4_t dot_lanes(int32x4_t acc, int8x16_t, int8x16_t) {
  return acc;
}

// In this order: each needs what stands above it.
// clang-format off
#include "core/kernels/cpu/dot_float.inl.h"
#include "core/kernels/cpu/simd_int_neon.inl.h"
#include "core/kernels/cpu/groups_neon.inl.h"
#include "core/kernels/cpu/quantize_neon.inl.h"
#include "core/kernels/cpu/dot_few.inl.h"
// clang-format on

constexpr QuantDotKernel kQuantized[] = {
#define MLXR_ROW(name) {QuantType::k##name, dot_few<QuantType::k##name>, dot_few<QuantType::k##name>},
    MLXR_INTEGER_TYPES(MLXR_ROW)
#undef MLXR_ROW
};

constexpr FloatDotKernel kFloats[] = {
    {QuantType::kF32, dot_floats<SimdNeon, LoadF32<SimdNeon>>, dot_decoded<SimdNeon, LoadF32<SimdNeon>>},
    {QuantType::kF16, dot_floats<SimdNeon, LoadF16<SimdNeon>>, dot_decoded<SimdNeon, LoadF16<SimdNeon>>},
    {QuantType::kBF16, dot_floats<SimdNeon, LoadBf16<SimdNeon>>, dot_decoded<SimdNeon, LoadBf16<SimdNeon>>},
};

}  // namespace mlxr::dot_neon

namespace mlxr {

const MatmulKernels kNeonMatmulKernels = {
    .name = "neon",
    .quantize_row = dot_neon::quantize_row,
    .make_panel = nullptr,
    .quantized = dot_neon::kQuantized,
    .floats = dot_neon::kFloats,
    .decoded = dot_neon::dot_decoded<SimdNeon, dot_neon::DecodeByTable>,
    .few_tokens = 1,
    .few_float_tokens = 2,
};

}  // namespace mlxr

#endif  // MLXR_ARM64
