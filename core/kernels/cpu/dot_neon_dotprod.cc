// Matmul kernels for NEON with sdot.

#include "core/kernels/cpu/target_region.h"

#if MLXR_ARM64

#include <arm_neon.h>

#include <cstring>
#include <type_traits>

#include "core/kernels/cpu/matmul_kernels.h"
#include "core/kernels/cpu/simd_neon.h"
#include "core/kernels/cpu/unroll.h"
#include "core/kernels/cpu/weight_groups.h"

MLXR_TARGET_REGION_BEGIN(MLXR_TARGET_NEON_DOTPROD)

namespace mlxr::dot_neon_dotprod {

inline constexpr bool kDotprod = true;
inline constexpr std::int64_t kTileRows = 16;
inline constexpr int kFewTokens = 2;

inline int32x4_t dot_lanes(int32x4_t acc, int8x16_t a, int8x16_t b) {
  return vdotq_s32(acc, a, b);
}

// In this order: each needs what stands above it.
// clang-format off
#include "core/kernels/cpu/dot_float.inl.h"
#include "core/kernels/cpu/simd_int_neon.inl.h"
#include "core/kernels/cpu/groups_neon.inl.h"
#include "core/kernels/cpu/quantize_neon.inl.h"
#include "core/kernels/cpu/dot_few.inl.h"
#include "core/kernels/cpu/next_tile.inl.h"
#include "core/kernels/cpu/dot_many_neon.inl.h"
#include "core/kernels/cpu/dot_many.inl.h"
// clang-format on

constexpr QuantDotKernel kQuantized[] = {
#define MLXR_ROW(name) {QuantType::k##name, dot_few<QuantType::k##name>, dot_many<QuantType::k##name>},
    MLXR_INTEGER_TYPES(MLXR_ROW)
#undef MLXR_ROW
};

constexpr FloatDotKernel kFloats[] = {
    {QuantType::kF32, dot_floats<SimdNeon, LoadF32<SimdNeon>>, dot_decoded<SimdNeon, LoadF32<SimdNeon>>},
    {QuantType::kF16, dot_floats<SimdNeon, LoadF16<SimdNeon>>, dot_decoded<SimdNeon, LoadF16<SimdNeon>>},
    {QuantType::kBF16, dot_floats<SimdNeon, LoadBf16<SimdNeon>>, dot_decoded<SimdNeon, LoadBf16<SimdNeon>>},
};

}  // namespace mlxr::dot_neon_dotprod

MLXR_TARGET_REGION_END

namespace mlxr {

const MatmulKernels kNeonDotprodMatmulKernels = {
    .name = "neon_dotprod",
    .quantize_row = dot_neon_dotprod::quantize_row,
    .make_panel = nullptr,
    .quantized = dot_neon_dotprod::kQuantized,
    .floats = dot_neon_dotprod::kFloats,
    .decoded = dot_neon_dotprod::dot_decoded<SimdNeon, dot_neon_dotprod::DecodeByTable>,
    .few_tokens = 2,
    .few_float_tokens = 2,
};

}  // namespace mlxr

#endif  // MLXR_ARM64
