// Matmul kernels for AVX2 with FMA and F16C.

#include "core/kernels/cpu/target_region.h"

#if MLXR_X86

#include <immintrin.h>

#include <cstring>
#include <type_traits>

#include "core/kernels/cpu/matmul_kernels.h"
#include "core/kernels/cpu/simd_avx2.h"
#include "core/kernels/cpu/unroll.h"
#include "core/kernels/cpu/weight_groups.h"

MLXR_TARGET_REGION_BEGIN(MLXR_TARGET_AVX2)

namespace mlxr::dot_avx2 {

inline constexpr bool kVnni = false;
// A step of TinyLlama 1.1B in Q4_K_M, two Zen 3 cores, by tokens: 1 30 ms, 2 43, 3 56, 4 68; by panels up to 8 80, up
// to 16 110.
inline constexpr int kFewTokens = 4;

inline __m256i dpbusd(__m256i acc, __m256i, __m256i) {
  return acc;
}

// In this order: each needs what stands above it.
// clang-format off
#include "core/kernels/cpu/dot_float.inl.h"
#include "core/kernels/cpu/simd_int_x86.inl.h"
#include "core/kernels/cpu/groups_x86.inl.h"
#include "core/kernels/cpu/quantize_x86.inl.h"
#include "core/kernels/cpu/transpose_x86.inl.h"
#include "core/kernels/cpu/panel_x86.inl.h"
#include "core/kernels/cpu/next_rows.inl.h"
#include "core/kernels/cpu/dot_few.inl.h"
#include "core/kernels/cpu/dot_panels_avx2.inl.h"
// clang-format on

constexpr QuantDotKernel kQuantized[] = {
#define MLXR_ROW(name) {QuantType::k##name, dot_few<QuantType::k##name>, dot_many<QuantType::k##name>},
    MLXR_INTEGER_TYPES(MLXR_ROW)
#undef MLXR_ROW
};

constexpr FloatDotKernel kFloats[] = {
    {QuantType::kF32, dot_floats<SimdAvx2, LoadF32<SimdAvx2>>, dot_decoded<SimdAvx2, LoadF32<SimdAvx2>>},
    {QuantType::kF16, dot_floats<SimdAvx2, LoadF16<SimdAvx2>>, dot_decoded<SimdAvx2, LoadF16<SimdAvx2>>},
    {QuantType::kBF16, dot_floats<SimdAvx2, LoadBf16<SimdAvx2>>, dot_decoded<SimdAvx2, LoadBf16<SimdAvx2>>},
};

}  // namespace mlxr::dot_avx2

MLXR_TARGET_REGION_END

namespace mlxr {

const MatmulKernels kAvx2MatmulKernels = {
    .name = "avx2",
    .quantize_row = dot_avx2::quantize_row,
    .make_panel = dot_avx2::make_panel,
    .quantized = dot_avx2::kQuantized,
    .floats = dot_avx2::kFloats,
    .decoded = dot_avx2::dot_decoded<SimdAvx2, dot_avx2::DecodeByTable>,
    .few_tokens = 4,
    .few_float_tokens = 2,
};

}  // namespace mlxr

#endif  // MLXR_X86
