// Matmul kernels for AVX2 with the 256-bit vpdpbusd.

#include "core/kernels/cpu/target_region.h"

#if MLXR_X86

#include <immintrin.h>

#include <cstring>
#include <type_traits>

#include "core/kernels/cpu/matmul_kernels.h"
#include "core/kernels/cpu/simd_avx2.h"
#include "core/kernels/cpu/unroll.h"
#include "core/kernels/cpu/weight_groups.h"

MLXR_TARGET_REGION_BEGIN(MLXR_TARGET_AVX2_VNNI)

namespace mlxr::dot_avx2_vnni {

inline constexpr bool kVnni = true;
inline constexpr std::int64_t kTileRows = 16;
inline constexpr int kFewTokens = 1;  // for more, decoding a tile is already the faster way
inline constexpr int kManyTokens = 4;
inline constexpr int kWideLanes = 8;

inline __m256i dpbusd(__m256i acc, __m256i u8, __m256i s8) {
  return _mm256_dpbusd_avx_epi32(acc, u8, s8);
}

using WI = __m256i;
using WF = __m256;

inline WI wi_load(const void* p) {
  return _mm256_load_si256(static_cast<const WI*>(p));
}
inline WI wi_set(std::int32_t value) {
  return _mm256_set1_epi32(value);
}
inline WI wi_dot(WI acc, WI u8, WI s8) {
  return _mm256_dpbusd_avx_epi32(acc, u8, s8);
}
inline WI wi_madd(WI a, WI b) {
  return _mm256_madd_epi16(a, b);
}
inline WF wf_load(const void* p) {
  return _mm256_load_ps(static_cast<const float*>(p));
}
inline WF wf_set(float value) {
  return _mm256_set1_ps(value);
}
inline WF wf_from(WI a) {
  return _mm256_cvtepi32_ps(a);
}
inline WF wf_add(WF a, WF b) {
  return _mm256_add_ps(a, b);
}
inline WF wf_mul(WF a, WF b) {
  return _mm256_mul_ps(a, b);
}
inline WF wf_fma(WF a, WF b, WF c) {
  return _mm256_fmadd_ps(a, b, c);
}
inline WF wf_fnma(WF a, WF b, WF c) {
  return _mm256_fnmadd_ps(a, b, c);
}
inline void wf_add_to(float* p, WF a) {
  _mm256_storeu_ps(p, _mm256_add_ps(_mm256_loadu_ps(p), a));
}

// In this order: each needs what stands above it.
// clang-format off
#include "core/kernels/cpu/dot_float.inl.h"
#include "core/kernels/cpu/simd_int_x86.inl.h"
#include "core/kernels/cpu/groups_x86.inl.h"
#include "core/kernels/cpu/quantize_x86.inl.h"
#include "core/kernels/cpu/transpose_x86.inl.h"
#include "core/kernels/cpu/tile_x86.inl.h"
#include "core/kernels/cpu/next_tile.inl.h"
#include "core/kernels/cpu/dot_few.inl.h"
#include "core/kernels/cpu/dot_many_vnni.inl.h"
#include "core/kernels/cpu/dot_many.inl.h"
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

}  // namespace mlxr::dot_avx2_vnni

MLXR_TARGET_REGION_END

namespace mlxr {

const MatmulKernels kAvx2VnniMatmulKernels = {
    .name = "avx2_vnni",
    .quantize_row = dot_avx2_vnni::quantize_row,
    .make_panel = nullptr,
    .quantized = dot_avx2_vnni::kQuantized,
    .floats = dot_avx2_vnni::kFloats,
    .decoded = dot_avx2_vnni::dot_decoded<SimdAvx2, dot_avx2_vnni::DecodeByTable>,
    .few_tokens = 1,
    .few_float_tokens = 2,
};

}  // namespace mlxr

#endif  // MLXR_X86
