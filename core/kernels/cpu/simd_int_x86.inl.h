// Vocabulary of the quantised kernels in 256-bit registers, for AVX2 and above. Included inside a namespace and target
// region that has said
//   kVnni                                 whether vpdpbusd is there
//   dpbusd(I8 acc, __m256i u8, __m256i s8)  acc plus the products of four bytes in each 32-bit lane (if kVnni)

using F8 = __m256;
using I8 = __m256i;

inline F8 f8_zero() {
  return _mm256_setzero_ps();
}
inline F8 f8_load(const float* p) {
  return _mm256_loadu_ps(p);
}
inline F8 f8_from(I8 a) {
  return _mm256_cvtepi32_ps(a);
}
inline F8 f8_mul(F8 a, F8 b) {
  return _mm256_mul_ps(a, b);
}
inline F8 f8_fma(F8 a, F8 b, F8 c) {
  return _mm256_fmadd_ps(a, b, c);
}
inline F8 f8_fnma(F8 a, F8 b, F8 c) {
  return _mm256_fnmadd_ps(a, b, c);
}
inline float f8_fold(F8 a) {
  const __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  const __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
  return _mm_cvtss_f32(_mm_add_ss(s2, _mm_movehdup_ps(s2)));
}

inline void prefetch(const std::uint8_t* p) {
  _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T0);
}

inline __m256i load32(const void* p) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}
// 16 bytes in both halves.
inline __m256i load16_twice(const void* p) {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128(static_cast<const __m128i*>(p)));
}

// Halves of a and b added crosswise: [lanes of a | lanes of b], each its low half plus its high half.
inline __m256i cross_halves_add16(__m256i a, __m256i b) {
  return _mm256_add_epi16(_mm256_blend_epi32(a, b, 0xf0), _mm256_permute2x128_si256(a, b, 0x21));
}
inline __m256i cross_halves_add32(__m256i a, __m256i b) {
  return _mm256_add_epi32(_mm256_blend_epi32(a, b, 0xf0), _mm256_permute2x128_si256(a, b, 0x21));
}

// Neighbouring 32-bit words of a, then of b, in each 128 bits; a sum of the two is what vphaddd does in more steps.
inline __m256i even_words(__m256i a, __m256i b) {
  return _mm256_castps_si256(_mm256_shuffle_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), 0x88));
}
inline __m256i odd_words(__m256i a, __m256i b) {
  return _mm256_castps_si256(_mm256_shuffle_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), 0xdd));
}
inline __m256i add_neighbours32(__m256i a, __m256i b) {
  return _mm256_add_epi32(even_words(a, b), odd_words(a, b));
}
inline __m256i add_neighbours16(__m256i a, __m256i b) {
  return _mm256_add_epi16(even_words(a, b), odd_words(a, b));
}

// Sums of the eight lanes of each of v[0..7], in lane order.
inline I8 sum_lanes32(const __m256i (&v)[8]) {
  __m256i t[4];
  MLXR_UNROLL
  for (int j = 0; j < 4; ++j)
    t[j] = cross_halves_add32(v[j], v[j + 4]);
  return add_neighbours32(add_neighbours32(t[0], t[1]), add_neighbours32(t[2], t[3]));
}

// The same for sixteen 16-bit lanes each, where no sum of four lanes leaves 16 bits.
inline I8 sum_lanes16(const __m256i (&v)[8]) {
  __m256i t[4];
  MLXR_UNROLL
  for (int j = 0; j < 4; ++j)
    t[j] = cross_halves_add16(v[j], v[j + 4]);
  const __m256i ones = _mm256_set1_epi16(1);
  const __m256i low = _mm256_madd_epi16(add_neighbours16(t[0], t[1]), ones);
  const __m256i high = _mm256_madd_epi16(add_neighbours16(t[2], t[3]), ones);
  return add_neighbours32(low, high);
}

// Eight binary16 values `stride` bytes apart.
inline F8 load_f16_strided(const std::uint8_t* p, std::size_t stride) {
  __m128i h = _mm_setzero_si128();
  h = _mm_insert_epi16(h, load_bytes<std::int16_t>(p), 0);
  h = _mm_insert_epi16(h, load_bytes<std::int16_t>(p + stride), 1);
  h = _mm_insert_epi16(h, load_bytes<std::int16_t>(p + 2 * stride), 2);
  h = _mm_insert_epi16(h, load_bytes<std::int16_t>(p + 3 * stride), 3);
  h = _mm_insert_epi16(h, load_bytes<std::int16_t>(p + 4 * stride), 4);
  h = _mm_insert_epi16(h, load_bytes<std::int16_t>(p + 5 * stride), 5);
  h = _mm_insert_epi16(h, load_bytes<std::int16_t>(p + 6 * stride), 6);
  h = _mm_insert_epi16(h, load_bytes<std::int16_t>(p + 7 * stride), 7);
  return _mm256_cvtph_ps(h);
}
inline F8 load_f16_broadcast(const std::uint8_t* p) {
  return _mm256_cvtph_ps(_mm_set1_epi16(load_bytes<std::int16_t>(p)));
}
// Low eight bytes, or the upper eight.
inline F8 f8_from_low_bytes(__m128i bytes) {
  return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
}
inline F8 f8_from_high_bytes(__m128i bytes) {
  return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_unpackhi_epi64(bytes, bytes)));
}
