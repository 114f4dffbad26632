#pragma once
// The float vocabulary for AVX-512 (F, BW, DQ, VL); see simd_scalar.h for what each word means.

#include "core/kernels/cpu/target_region.h"

#if MLXR_X86

#include <immintrin.h>

#include <cstdint>

#include "core/base/cpu_features.h"

MLXR_TARGET_REGION_BEGIN(MLXR_TARGET_AVX512)
namespace mlxr {

struct SimdAvx512 {
  using F32 = __m512;
  static constexpr Isa kIsa = Isa::kAvx512;
  static constexpr int kLanes = 16;
  static constexpr int kRegisters = 32;

  static MLXR_ALWAYS_INLINE F32 zero() { return _mm512_setzero_ps(); }
  static MLXR_ALWAYS_INLINE F32 set(float value) { return _mm512_set1_ps(value); }
  static MLXR_ALWAYS_INLINE F32 load(const float* p) { return _mm512_loadu_ps(p); }
  static MLXR_ALWAYS_INLINE void store(float* p, F32 v) { _mm512_storeu_ps(p, v); }
  static MLXR_ALWAYS_INLINE F32 load_first(const float* p, int n) { return _mm512_maskz_loadu_ps(first_mask(n), p); }
  static MLXR_ALWAYS_INLINE void store_first(float* p, F32 v, int n) { _mm512_mask_storeu_ps(p, first_mask(n), v); }

  static MLXR_ALWAYS_INLINE F32 load_f16(const std::uint16_t* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static MLXR_ALWAYS_INLINE F32 load_bf16(const std::uint16_t* p) {
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
  }
  static MLXR_ALWAYS_INLINE void store_f16(std::uint16_t* p, F32 v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
  }
  static MLXR_ALWAYS_INLINE void store_bf16(std::uint16_t* p, F32 v) {
    const __m512i bits = _mm512_castps_si512(v);
    const __m512i upper = _mm512_srli_epi32(bits, 16);
    const __m512i odd = _mm512_and_si512(upper, _mm512_set1_epi32(1));
    const __m512i sum = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    const __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    const __m512i quiet = _mm512_or_si512(upper, _mm512_set1_epi32(0x40));
    const __m512i wide = _mm512_mask_blend_epi32(nan, _mm512_srli_epi32(sum, 16), quiet);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(wide));
  }

  static MLXR_ALWAYS_INLINE F32 set_f16(const std::uint8_t* p) {
    std::int16_t bits;
    __builtin_memcpy(&bits, p, sizeof(bits));
    return _mm512_cvtph_ps(_mm256_set1_epi16(bits));
  }
  static MLXR_ALWAYS_INLINE F32 load_s8(const std::uint8_t* p) { return _mm512_cvtepi32_ps(widen(p)); }
  static MLXR_ALWAYS_INLINE F32 load_s4(const std::uint8_t* p, bool high) {
    const __m512i top = _mm512_sll_epi32(widen(p), _mm_cvtsi32_si128(high ? 24 : 28));
    return _mm512_cvtepi32_ps(_mm512_srai_epi32(top, 28));
  }
  static MLXR_ALWAYS_INLINE F32 load_e4m3(const std::uint8_t* p) {
    const __m256i wide = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    const __m256i mask = _mm256_set1_epi16(static_cast<std::int16_t>(0xbf80));
    return _mm512_cvtph_ps(_mm256_and_si256(_mm256_slli_epi16(wide, 7), mask));
  }

  static MLXR_ALWAYS_INLINE F32 add(F32 a, F32 b) { return _mm512_add_ps(a, b); }
  static MLXR_ALWAYS_INLINE F32 sub(F32 a, F32 b) { return _mm512_sub_ps(a, b); }
  static MLXR_ALWAYS_INLINE F32 mul(F32 a, F32 b) { return _mm512_mul_ps(a, b); }
  static MLXR_ALWAYS_INLINE F32 div(F32 a, F32 b) { return _mm512_div_ps(a, b); }
  static MLXR_ALWAYS_INLINE F32 min(F32 a, F32 b) { return _mm512_min_ps(a, b); }
  static MLXR_ALWAYS_INLINE F32 max(F32 a, F32 b) { return _mm512_max_ps(a, b); }
  static MLXR_ALWAYS_INLINE F32 fma(F32 a, F32 b, F32 c) { return _mm512_fmadd_ps(a, b, c); }
  static MLXR_ALWAYS_INLINE F32 abs(F32 a) { return _mm512_abs_ps(a); }
  static MLXR_ALWAYS_INLINE F32 select_less(F32 a, F32 b, F32 then, F32 otherwise) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), otherwise, then);
  }
  static MLXR_ALWAYS_INLINE F32 keep_lanes(F32 v, int begin, int end, F32 otherwise) {
    const auto mask = static_cast<__mmask16>(first_mask(end) & ~first_mask(begin));
    return _mm512_mask_blend_ps(mask, otherwise, v);
  }
  static MLXR_ALWAYS_INLINE F32 swap_pairs(F32 v) { return _mm512_permute_ps(v, 0xb1); }
  static MLXR_ALWAYS_INLINE F32 power_of_low_bits(F32 t) {
    const __m512i exponent = _mm512_slli_epi32(_mm512_castps_si512(t), 23);
    return _mm512_castsi512_ps(_mm512_add_epi32(exponent, _mm512_set1_epi32(0x3f800000)));
  }

  static MLXR_ALWAYS_INLINE float reduce_add(F32 v) {
    const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 sum = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
    return _mm_cvtss_f32(_mm_add_ss(sum, _mm_movehdup_ps(sum)));
  }
  static MLXR_ALWAYS_INLINE float reduce_max(F32 v) {
    const __m256 half = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 top = _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    top = _mm_max_ps(top, _mm_movehl_ps(top, top));
    return _mm_cvtss_f32(_mm_max_ss(top, _mm_movehdup_ps(top)));
  }

 private:
  static MLXR_ALWAYS_INLINE __m512i widen(const std::uint8_t* p) {
    return _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  // Lanes below n; n may lie outside [0, 16].
  static MLXR_ALWAYS_INLINE __mmask16 first_mask(int n) {
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return _mm512_cmplt_epi32_mask(lane, _mm512_set1_epi32(n));
  }
};

}  // namespace mlxr
MLXR_TARGET_REGION_END

#endif  // MLXR_X86
