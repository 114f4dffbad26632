// Weight groups (weight_groups.h) in 256-bit registers. Included after simd_int_x86.inl.h.
//
// Quants stay unsigned where the format stores them so, since vpmaddubsw and vpdpbusd multiply unsigned by signed
// bytes: q = u - kZero, and kZero times the sum of the activations comes off the integer sum. What decides the AVX2
// path is how large u is, because vpmaddubsw saturates at 16 bits (2 * u * 127 <= 32767 for u <= 128):
//   kSmall   u <= 31: sums of four products still fit 16 bits
//   kHalves  u <= 127 with a scale for every 16 elements, which vpmaddwd multiplies in
//   kSigned  q has 8 bits: |q| times the activation with q's sign; with VNNI u = q + 128

enum class QuantRange { kSmall, kHalves, kSigned };

struct Quants {
  __m256i v[8];  // block b, elements in order
};

struct Scales {
  F8 scale;
  F8 min;
  __m256i half;      // kHalves: the sixteen scales as 16-bit numbers
  __m256i half_min;  // kHalfMins: likewise
};

// A vector whose 16-bit lanes are halves 2b and 2b + 1 of `half`, eight lanes each.
template <int kBlock>
inline __m256i half_scale_lanes(__m256i half) {
  constexpr char kA = kBlock % 4 * 4;  // first byte of the pair in its 128 bits; the low half takes the first scale
  constexpr char kB = kA + 1;
  constexpr char kC = kA + 2;
  constexpr char kD = kA + 3;
  const __m256i choice = _mm256_setr_epi8(kA, kB, kA, kB, kA, kB, kA, kB, kA, kB, kA, kB, kA, kB, kA, kB, kC, kD, kC,
                                          kD, kC, kD, kC, kD, kC, kD, kC, kD, kC, kD, kC, kD);
  return _mm256_shuffle_epi8(_mm256_permute4x64_epi64(half, kBlock < 4 ? 0x44 : 0xee), choice);
}

inline I8 activation_sums(const ActivationGroup& x) {
  return load32(x.sum);
}

template <QuantRange kRange, int kZeroLog2>
struct SumsOf;

template <int kZeroLog2>
struct SumsOf<QuantRange::kSmall, kZeroLog2> {
  static I8 sums(const Quants& w, const Scales&, const ActivationGroup& x) {
    __m256i v[8];
    MLXR_UNROLL
    for (int b = 0; b < 8; ++b) {
      if constexpr (kVnni) {
        v[b] = dpbusd(_mm256_setzero_si256(), w.v[b], load32(x.q + 32 * b));
      } else {
        v[b] = _mm256_maddubs_epi16(w.v[b], load32(x.q + 32 * b));
      }
    }
    I8 sums;
    if constexpr (kVnni) {
      sums = sum_lanes32(v);
    } else {
      sums = sum_lanes16(v);
    }
    if constexpr (kZeroLog2 >= 0) sums = _mm256_sub_epi32(sums, _mm256_slli_epi32(activation_sums(x), kZeroLog2));
    return sums;
  }
};

template <int kZeroLog2>
struct SumsOf<QuantRange::kSigned, kZeroLog2> {
  static I8 sums(const Quants& w, const Scales&, const ActivationGroup& x) {
    __m256i v[8];
    MLXR_UNROLL
    for (int b = 0; b < 8; ++b) {
      const __m256i a = load32(x.q + 32 * b);
      if constexpr (kVnni) {
        v[b] = dpbusd(_mm256_setzero_si256(), w.v[b], a);
      } else {
        const __m256i products = _mm256_maddubs_epi16(_mm256_abs_epi8(w.v[b]), _mm256_sign_epi8(a, w.v[b]));
        v[b] = _mm256_madd_epi16(products, _mm256_set1_epi16(1));
      }
    }
    const I8 sums = sum_lanes32(v);
    return kVnni ? _mm256_sub_epi32(sums, _mm256_slli_epi32(activation_sums(x), 7)) : sums;
  }
};

template <int kBlock>
inline __m256i half_products(const Quants& w, const Scales& scales, const ActivationGroup& x) {
  const __m256i products = _mm256_maddubs_epi16(w.v[kBlock], load32(x.q + 32 * kBlock));
  return _mm256_madd_epi16(products, half_scale_lanes<kBlock>(scales.half));
}

template <int kZeroLog2>
struct SumsOf<QuantRange::kHalves, kZeroLog2> {
  static I8 sums(const Quants& w, const Scales& s, const ActivationGroup& x) {
    const __m256i v[8] = {half_products<0>(w, s, x), half_products<1>(w, s, x), half_products<2>(w, s, x),
                          half_products<3>(w, s, x), half_products<4>(w, s, x), half_products<5>(w, s, x),
                          half_products<6>(w, s, x), half_products<7>(w, s, x)};
    const I8 sums = sum_lanes32(v);
    if constexpr (kZeroLog2 < 0) return sums;
    const __m256i zero = _mm256_madd_epi16(s.half, load32(x.half_sum));
    return _mm256_sub_epi32(sums, _mm256_slli_epi32(zero, kZeroLog2));
  }

  static I8 min_sums(const Scales& s, const ActivationGroup& x) {
    return _mm256_madd_epi16(s.half_min, load32(x.half_sum));
  }
};

inline __m256i none() {
  return _mm256_setzero_si256();
}

inline __m256i widen16(const std::int8_t* p) {
  return _mm256_cvtepi8_epi16(_mm_load_si128(reinterpret_cast<const __m128i*>(p)));
}

// Any format, unpacked by its portable definition.
template <QuantType kType>
struct Group : PortableGroup<kType>,
               SumsOf<PortableGroup<kType>::kHalfScales ? QuantRange::kHalves : QuantRange::kSigned,
                      PortableGroup<kType>::kHalfScales ? PortableGroup<kType>::kHalfZeroLog2 : 7> {
  using Portable = PortableGroup<kType>;
  static constexpr QuantRange kRange = Portable::kHalfScales ? QuantRange::kHalves : QuantRange::kSigned;
  static constexpr int kZeroLog2 = Portable::kHalfScales ? Portable::kHalfZeroLog2 : 7;
  static constexpr int kMaxQuant = kRange == QuantRange::kSigned ? 255 : kZeroLog2 >= 0 ? (2 << kZeroLog2) - 1 : 15;

  static Quants unpack(const std::uint8_t* bytes) {
    alignas(64) std::int8_t values[256];
    Portable::unpack(bytes, values);
    Quants q;
    MLXR_UNROLL
    for (int b = 0; b < 8; ++b) {
      q.v[b] = load32(values + 32 * b);
      if constexpr (kRange == QuantRange::kSigned) {
        if constexpr (kVnni) q.v[b] = _mm256_xor_si256(q.v[b], _mm256_set1_epi8(-128));
      } else if constexpr (kZeroLog2 >= 0) {
        q.v[b] = _mm256_add_epi8(q.v[b], _mm256_set1_epi8(1 << kZeroLog2));
      }
    }
    return q;
  }

  static Scales scales(const std::uint8_t* bytes) {
    alignas(64) GroupScales s;
    Portable::scales(bytes, s);
    Scales r = {f8_load(s.scale), f8_zero(), none(), none()};
    if constexpr (Portable::kHasMin || Portable::kHalfMins) r.min = f8_load(s.min);
    if constexpr (Portable::kHalfScales) r.half = widen16(s.half);
    if constexpr (Portable::kHalfMins) r.half_min = widen16(s.half_min);
    return r;
  }
};

template <>
struct Group<QuantType::kQ4_0> : PortableGroup<QuantType::kQ4_0>, SumsOf<QuantRange::kSmall, 3> {
  static constexpr QuantRange kRange = QuantRange::kSmall;
  static constexpr int kZeroLog2 = 3;
  static constexpr int kMaxQuant = 15;

  static Quants unpack(const std::uint8_t* bytes) {
    const __m256i shift = _mm256_setr_epi32(0, 0, 0, 0, 4, 4, 4, 4);
    const __m256i mask = _mm256_set1_epi8(15);
    Quants q;
    MLXR_UNROLL
    for (std::size_t b = 0; b < 8; ++b) {
      const __m256i twice = load16_twice(bytes + b * kBlockBytes + offsetof(BlockQ4_0, qs));
      q.v[b] = _mm256_and_si256(_mm256_srlv_epi32(twice, shift), mask);
    }
    return q;
  }

  static Scales scales(const std::uint8_t* bytes) {
    return {load_f16_strided(bytes, kBlockBytes), f8_zero(), none(), none()};
  }
};

template <>
struct Group<QuantType::kQ8_0> : PortableGroup<QuantType::kQ8_0>, SumsOf<QuantRange::kSigned, 7> {
  static constexpr QuantRange kRange = QuantRange::kSigned;
  static constexpr int kZeroLog2 = 7;
  static constexpr int kMaxQuant = 255;

  static Quants unpack(const std::uint8_t* bytes) {
    Quants q;
    MLXR_UNROLL
    for (std::size_t b = 0; b < 8; ++b) {
      const __m256i signed_quants = load32(bytes + b * kBlockBytes + offsetof(BlockQ8_0, qs));
      q.v[b] = kVnni ? _mm256_xor_si256(signed_quants, _mm256_set1_epi8(-128)) : signed_quants;
    }
    return q;
  }

  static Scales scales(const std::uint8_t* bytes) {
    return {load_f16_strided(bytes, kBlockBytes), f8_zero(), none(), none()};
  }
};

// Scales of Q4_K and Q5_K, which begin alike: d, dmin and 12 bytes of six-bit scales and minima (unpack_scale_min_words
// says how).
inline Scales scale_mins(const std::uint8_t* bytes) {
  static_assert(offsetof(BlockQ4_K, d) == 0 && offsetof(BlockQ4_K, dmin) == 2 && offsetof(BlockQ4_K, scales) == 4);
  const __m128i packed = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes + 4));  // words a, b, c and four quants
  const __m128i low = _mm_and_si128(packed, _mm_set1_epi8(63));
  const __m128i c = _mm_srlv_epi32(_mm_shuffle_epi32(packed, 0xaa), _mm_setr_epi32(0, 4, 0, 0));
  const __m128i top = _mm_and_si128(_mm_srli_epi32(packed, 2), _mm_set1_epi8(0x30));
  const __m128i high = _mm_or_si128(_mm_and_si128(c, _mm_set1_epi8(15)), top);
  const __m128i both = _mm_unpacklo_epi32(low, high);  // eight scales, eight minima
  const __m128 d = _mm_cvtph_ps(_mm_cvtsi32_si128(load_bytes<std::int32_t>(bytes)));
  return {f8_mul(_mm256_broadcastss_ps(d), f8_from_low_bytes(both)),
          f8_mul(_mm256_broadcastss_ps(_mm_movehdup_ps(d)), f8_from_high_bytes(both)), none(), none()};
}

template <>
struct Group<QuantType::kQ4_K> : PortableGroup<QuantType::kQ4_K>, SumsOf<QuantRange::kSmall, -1> {
  static constexpr QuantRange kRange = QuantRange::kSmall;
  static constexpr int kZeroLog2 = -1;
  static constexpr int kMaxQuant = 15;

  static Quants unpack(const std::uint8_t* bytes) {
    const __m256i mask = _mm256_set1_epi8(15);
    Quants q;
    MLXR_UNROLL
    for (std::size_t pair = 0; pair < 4; ++pair) {
      const __m256i nibbles = load32(bytes + offsetof(BlockQ4_K, qs) + 32 * pair);
      q.v[2 * pair] = _mm256_and_si256(nibbles, mask);
      q.v[2 * pair + 1] = _mm256_and_si256(_mm256_srli_epi16(nibbles, 4), mask);
    }
    return q;
  }

  static Scales scales(const std::uint8_t* bytes) { return scale_mins(bytes); }
};

template <>
struct Group<QuantType::kQ5_K> : PortableGroup<QuantType::kQ5_K>, SumsOf<QuantRange::kSmall, -1> {
  static constexpr QuantRange kRange = QuantRange::kSmall;
  static constexpr int kZeroLog2 = -1;
  static constexpr int kMaxQuant = 31;

  static Quants unpack(const std::uint8_t* bytes) {
    const __m256i mask = _mm256_set1_epi8(15);
    const __m256i fifth = _mm256_set1_epi8(16);
    const __m256i qh = load32(bytes + offsetof(BlockQ5_K, qh));
    // Bit b of qh[i] moved to bit 4: the shifts cross bytes, the mask drops what came from the neighbour.
    const __m256i high[8] = {
        _mm256_slli_epi16(qh, 4), _mm256_slli_epi16(qh, 3), _mm256_slli_epi16(qh, 2), _mm256_slli_epi16(qh, 1), qh,
        _mm256_srli_epi16(qh, 1), _mm256_srli_epi16(qh, 2), _mm256_srli_epi16(qh, 3)};
    Quants q;
    MLXR_UNROLL
    for (std::size_t pair = 0; pair < 4; ++pair) {
      const __m256i nibbles = load32(bytes + offsetof(BlockQ5_K, qs) + 32 * pair);
      const __m256i low = _mm256_and_si256(nibbles, mask);
      const __m256i upper = _mm256_and_si256(_mm256_srli_epi16(nibbles, 4), mask);
      q.v[2 * pair] = _mm256_or_si256(low, _mm256_and_si256(high[2 * pair], fifth));
      q.v[2 * pair + 1] = _mm256_or_si256(upper, _mm256_and_si256(high[2 * pair + 1], fifth));
    }
    return q;
  }

  static Scales scales(const std::uint8_t* bytes) { return scale_mins(bytes); }
};

template <>
struct Group<QuantType::kQ6_K> : PortableGroup<QuantType::kQ6_K>, SumsOf<QuantRange::kHalves, 5> {
  static constexpr QuantRange kRange = QuantRange::kHalves;
  static constexpr int kZeroLog2 = 5;
  static constexpr int kMaxQuant = 63;

  static Quants unpack(const std::uint8_t* bytes) {
    const __m256i low_mask = _mm256_set1_epi8(15);
    const __m256i high_mask = _mm256_set1_epi8(0x30);
    Quants q;
    MLXR_UNROLL
    for (std::size_t half = 0; half < 2; ++half) {
      const __m256i ql0 = load32(bytes + offsetof(BlockQ6_K, ql) + 64 * half);
      const __m256i ql1 = load32(bytes + offsetof(BlockQ6_K, ql) + 64 * half + 32);
      const __m256i qh = load32(bytes + offsetof(BlockQ6_K, qh) + 32 * half);
      const __m256i low[4] = {_mm256_and_si256(ql0, low_mask), _mm256_and_si256(ql1, low_mask),
                              _mm256_and_si256(_mm256_srli_epi16(ql0, 4), low_mask),
                              _mm256_and_si256(_mm256_srli_epi16(ql1, 4), low_mask)};
      const __m256i high[4] = {_mm256_slli_epi16(qh, 4), _mm256_slli_epi16(qh, 2), qh, _mm256_srli_epi16(qh, 2)};
      MLXR_UNROLL
      for (std::size_t b = 0; b < 4; ++b)
        q.v[4 * half + b] = _mm256_or_si256(low[b], _mm256_and_si256(high[b], high_mask));
    }
    return q;
  }

  static Scales scales(const std::uint8_t* bytes) {
    const void* half = bytes + offsetof(BlockQ6_K, scales);
    return {load_f16_broadcast(bytes + offsetof(BlockQ6_K, d)), f8_zero(),
            _mm256_cvtepi8_epi16(_mm_loadu_si128(static_cast<const __m128i*>(half))), none()};
  }
};
