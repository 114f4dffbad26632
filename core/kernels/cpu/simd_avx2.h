#pragma once
// The float vocabulary for AVX2 with FMA and F16C; see simd_scalar.h for what each word means.

#include "core/kernels/cpu/target_region.h"

#if MLXR_X86

#include <immintrin.h>

#include <cstdint>

#include "core/base/cpu_features.h"

MLXR_TARGET_REGION_BEGIN(MLXR_TARGET_AVX2)
namespace mlxr {

struct SimdAvx2 {
  using F32 = __m256;
  static constexpr Isa kIsa = Isa::kAvx2;
  static constexpr int kLanes = 8;
  static constexpr int kRegisters = 16;

  static MLXR_ALWAYS_INLINE F32 zero() { return _mm256_setzero_ps(); }
  static MLXR_ALWAYS_INLINE F32 set(float value) { return _mm256_set1_ps(value); }
  static MLXR_ALWAYS_INLINE F32 load(const float* p) { return _mm256_loadu_ps(p); }
  static MLXR_ALWAYS_INLINE void store(float* p, F32 v) { _mm256_storeu_ps(p, v); }
  static MLXR_ALWAYS_INLINE F32 load_first(const float* p, int n) { return _mm256_maskload_ps(p, first_mask(n)); }
  static MLXR_ALWAYS_INLINE void store_first(float* p, F32 v, int n) { _mm256_maskstore_ps(p, first_mask(n), v); }

  static MLXR_ALWAYS_INLINE F32 load_f16(const std::uint16_t* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static MLXR_ALWAYS_INLINE F32 load_bf16(const std::uint16_t* p) {
    const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
  }
  static MLXR_ALWAYS_INLINE void store_f16(std::uint16_t* p, F32 v) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
  }
  static MLXR_ALWAYS_INLINE void store_bf16(std::uint16_t* p, F32 v) {
    const __m256i bits = _mm256_castps_si256(v);
    const __m256i upper = _mm256_srli_epi32(bits, 16);
    const __m256i odd = _mm256_and_si256(upper, _mm256_set1_epi32(1));
    const __m256i sum = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    const __m256i quiet = _mm256_or_si256(upper, _mm256_set1_epi32(0x40));
    const __m256i wide = _mm256_blendv_epi8(_mm256_srli_epi32(sum, 16), quiet, nan);
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(wide, wide), 0xd8);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_castsi256_si128(packed));
  }

  static MLXR_ALWAYS_INLINE F32 set_f16(const std::uint8_t* p) {
    std::int16_t bits;
    __builtin_memcpy(&bits, p, sizeof(bits));
    return _mm256_cvtph_ps(_mm_set1_epi16(bits));
  }
  static MLXR_ALWAYS_INLINE F32 load_s8(const std::uint8_t* p) { return _mm256_cvtepi32_ps(widen(p)); }
  static MLXR_ALWAYS_INLINE F32 load_s4(const std::uint8_t* p, bool high) {
    const __m256i top = _mm256_sll_epi32(widen(p), _mm_cvtsi32_si128(high ? 24 : 28));
    return _mm256_cvtepi32_ps(_mm256_srai_epi32(top, 28));
  }
  static MLXR_ALWAYS_INLINE F32 load_e4m3(const std::uint8_t* p) {
    const __m128i wide = _mm_cvtepi8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
    return _mm256_cvtph_ps(_mm_and_si128(_mm_slli_epi16(wide, 7), _mm_set1_epi16(static_cast<std::int16_t>(0xbf80))));
  }

  static MLXR_ALWAYS_INLINE F32 add(F32 a, F32 b) { return _mm256_add_ps(a, b); }
  static MLXR_ALWAYS_INLINE F32 sub(F32 a, F32 b) { return _mm256_sub_ps(a, b); }
  static MLXR_ALWAYS_INLINE F32 mul(F32 a, F32 b) { return _mm256_mul_ps(a, b); }
  static MLXR_ALWAYS_INLINE F32 div(F32 a, F32 b) { return _mm256_div_ps(a, b); }
  static MLXR_ALWAYS_INLINE F32 min(F32 a, F32 b) { return _mm256_min_ps(a, b); }
  static MLXR_ALWAYS_INLINE F32 max(F32 a, F32 b) { return _mm256_max_ps(a, b); }
  static MLXR_ALWAYS_INLINE F32 fma(F32 a, F32 b, F32 c) { return _mm256_fmadd_ps(a, b, c); }
  static MLXR_ALWAYS_INLINE F32 abs(F32 a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0F), a); }
  static MLXR_ALWAYS_INLINE F32 select_less(F32 a, F32 b, F32 then, F32 otherwise) {
    return _mm256_blendv_ps(otherwise, then, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
  }
  static MLXR_ALWAYS_INLINE F32 keep_lanes(F32 v, int begin, int end, F32 otherwise) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i late = _mm256_cmpgt_epi32(lane, _mm256_set1_epi32(begin - 1));
    const __m256i early = _mm256_cmpgt_epi32(_mm256_set1_epi32(end), lane);
    return _mm256_blendv_ps(otherwise, v, _mm256_castsi256_ps(_mm256_and_si256(late, early)));
  }
  static MLXR_ALWAYS_INLINE F32 swap_pairs(F32 v) { return _mm256_permute_ps(v, 0xb1); }
  static MLXR_ALWAYS_INLINE F32 power_of_low_bits(F32 t) {
    const __m256i exponent = _mm256_slli_epi32(_mm256_castps_si256(t), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(exponent, _mm256_set1_epi32(0x3f800000)));
  }

  static MLXR_ALWAYS_INLINE float reduce_add(F32 v) {
    __m128 sum = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
    return _mm_cvtss_f32(_mm_add_ss(sum, _mm_movehdup_ps(sum)));
  }
  static MLXR_ALWAYS_INLINE float reduce_max(F32 v) {
    __m128 top = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    top = _mm_max_ps(top, _mm_movehl_ps(top, top));
    return _mm_cvtss_f32(_mm_max_ss(top, _mm_movehdup_ps(top)));
  }

 private:
  static MLXR_ALWAYS_INLINE __m256i widen(const std::uint8_t* p) {
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  }
  static MLXR_ALWAYS_INLINE __m256i first_mask(int n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
};

}  // namespace mlxr
MLXR_TARGET_REGION_END

#endif  // MLXR_X86
