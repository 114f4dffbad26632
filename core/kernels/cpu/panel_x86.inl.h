// Panels of activations (activation_panel.h) in 256-bit registers. Included after transpose_x86.inl.h.

inline void make_panel(const ActivationGroup (&groups)[kPanelTokens], ActivationPanel& panel) {
  const __m256i ones = _mm256_set1_epi8(1);
  for (int b = 0; b < 8; ++b) {
    __m256i words[8];
    MLXR_UNROLL
    for (int t = 0; t < 8; ++t)
      words[t] = load32(groups[t].q + 32 * b);
    transpose8(words);
    MLXR_UNROLL
    for (int s = 0; s < 8; ++s)
      _mm256_store_si256(reinterpret_cast<__m256i*>(panel.q[8 * b + s]), words[s]);
    MLXR_UNROLL
    for (int half = 0; half < 2; ++half) {
      const __m256i* four = words + 4 * half;
      const __m256i sum =
          _mm256_add_epi16(_mm256_add_epi16(_mm256_maddubs_epi16(ones, four[0]), _mm256_maddubs_epi16(ones, four[1])),
                           _mm256_add_epi16(_mm256_maddubs_epi16(ones, four[2]), _mm256_maddubs_epi16(ones, four[3])));
      _mm256_store_si256(reinterpret_cast<__m256i*>(panel.sum[2 * b + half]), sum);
    }
  }
  __m256i scales[8];
  __m256i sums[8];
  MLXR_UNROLL
  for (int t = 0; t < 8; ++t) {
    scales[t] = load32(groups[t].scale);
    sums[t] = load32(groups[t].scaled_sum);
  }
  transpose8(scales);
  transpose8(sums);
  MLXR_UNROLL
  for (int b = 0; b < 8; ++b) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(panel.scale[b]), scales[b]);
    _mm256_store_si256(reinterpret_cast<__m256i*>(panel.scaled_sum[b]), sums[b]);
  }
}
