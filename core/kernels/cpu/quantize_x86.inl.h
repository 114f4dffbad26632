// Quantisation of activations (quantized_rows.h) in 256-bit registers. Included after simd_int_x86.inl.h.

// Maximum of the lanes of four vectors of non-negative numbers.
inline std::uint32_t max_lanes(__m256i a, __m256i b, __m256i c, __m256i d) {
  const __m256i m8 = _mm256_max_epu32(_mm256_max_epu32(a, b), _mm256_max_epu32(c, d));
  const __m128i m4 = _mm_max_epu32(_mm256_castsi256_si128(m8), _mm256_extracti128_si256(m8, 1));
  const __m128i m2 = _mm_max_epu32(m4, _mm_shuffle_epi32(m4, 0x4e));
  const __m128i m1 = _mm_max_epu32(m2, _mm_shuffle_epi32(m2, 0xb1));
  return static_cast<std::uint32_t>(_mm_cvtsi128_si32(m1));
}

// The 32 quants of x * factor.
inline __m256i quantize_32(const float* x, float factor) {
  const __m256 f = _mm256_set1_ps(factor);
  const __m256i i0 = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x), f));
  const __m256i i1 = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 8), f));
  const __m256i i2 = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 16), f));
  const __m256i i3 = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 24), f));
  const __m256i packed = _mm256_packs_epi16(_mm256_packs_epi32(i0, i1), _mm256_packs_epi32(i2, i3));
  return _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

inline void quantize_row(const float* x, std::int64_t elements, ActivationGroup* out) {
  const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
  const std::int64_t whole_groups = elements / kGroupElements;
  for (std::int64_t g = 0; g < whole_groups; ++g) {
    ActivationGroup& to = out[g];
    for (int b = 0; b < 8; ++b) {
      const float* from = x + g * kGroupElements + 32 * b;
      const std::uint32_t max_bits =
          max_lanes(_mm256_and_si256(load32(from), magnitude), _mm256_and_si256(load32(from + 8), magnitude),
                    _mm256_and_si256(load32(from + 16), magnitude), _mm256_and_si256(load32(from + 24), magnitude));
      const float factor = quant_factor(max_bits, &to.scale[b]);
      const __m256i q = factor == 0.0F ? _mm256_setzero_si256() : quantize_32(from, factor);
      _mm256_store_si256(reinterpret_cast<__m256i*>(to.q + 32 * b), q);
      // Sums of four, then of the eight that make a half.
      const __m256i fours = _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_set1_epi8(1), q), _mm256_set1_epi16(1));
      const __m256i eights = _mm256_hadd_epi32(fours, fours);
      const __m256i halves = _mm256_hadd_epi32(eights, eights);
      const int low = _mm256_extract_epi32(halves, 0);
      const int high = _mm256_extract_epi32(halves, 4);
      to.half_sum[b][0] = static_cast<std::int16_t>(low);
      to.half_sum[b][1] = static_cast<std::int16_t>(high);
      to.sum[b] = low + high;
    }
    _mm256_store_ps(to.scaled_sum, _mm256_mul_ps(_mm256_load_ps(to.scale), _mm256_cvtepi32_ps(load32(to.sum))));
  }
  if (elements % kGroupElements != 0) {
    const std::int64_t done = whole_groups * kGroupElements;
    quantize_row_reference(x + done, elements - done, out + whole_groups);
  }
}
