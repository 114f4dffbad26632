// Weight groups (weight_group.h) in NEON registers: quants are signed, the zero point taken off. Included after
// simd_int_neon.inl.h.

struct Quants {
  int8x16_t v[16];  // elements in order
};

struct Scales {
  F8 scale;
  F8 min;
  int8x16_t half;
  int8x16_t half_min;
};

// Sixteen whole numbers of 8 bits, each times the 32-bit lane of its index; neighbours added.
inline I8 add_pairs_of_products(int8x16_t factors, int32x4_t a, int32x4_t b, int32x4_t c, int32x4_t d) {
  const int16x8_t low = vmovl_s8(vget_low_s8(factors));
  const int16x8_t high = vmovl_high_s8(factors);
  return {vpaddq_s32(vmulq_s32(vmovl_s16(vget_low_s16(low)), a), vmulq_s32(vmovl_high_s16(low), b)),
          vpaddq_s32(vmulq_s32(vmovl_s16(vget_low_s16(high)), c), vmulq_s32(vmovl_high_s16(high), d))};
}

// Sums of products of block `b` of a format without half scales.
inline int32x4_t block_dot(const Quants& w, const ActivationGroup& x, int b) {
  const int32x4_t first = dot_some(vdupq_n_s32(0), w.v[2 * b], vld1q_s8(x.q + 32 * b));
  return dot_some(first, w.v[2 * b + 1], vld1q_s8(x.q + 32 * b + 16));
}

// Sums of products of sixteen elements each: halves 4i .. 4i + 3.
inline int32x4_t half_dots(const Quants& w, const ActivationGroup& x, int i) {
  int32x4_t d[4];
  MLXR_UNROLL
  for (int h = 0; h < 4; ++h)
    d[h] = dot_some(vdupq_n_s32(0), w.v[4 * i + h], vld1q_s8(x.q + 64 * i + 16 * h));
  return sum_lanes(d[0], d[1], d[2], d[3]);
}

template <bool kHalves>
struct SumsOf {
  static I8 sums(const Quants& w, const Scales& scales, const ActivationGroup& x) {
    if constexpr (kHalves) {
      return add_pairs_of_products(scales.half, half_dots(w, x, 0), half_dots(w, x, 1), half_dots(w, x, 2),
                                   half_dots(w, x, 3));
    } else {
      return {sum_lanes(block_dot(w, x, 0), block_dot(w, x, 1), block_dot(w, x, 2), block_dot(w, x, 3)),
              sum_lanes(block_dot(w, x, 4), block_dot(w, x, 5), block_dot(w, x, 6), block_dot(w, x, 7))};
    }
  }

  static I8 min_sums(const Scales& scales, const ActivationGroup& x) {
    const int16x8_t low = vld1q_s16(x.half_sum[0]);
    const int16x8_t high = vld1q_s16(x.half_sum[4]);
    return add_pairs_of_products(scales.half_min, vmovl_s16(vget_low_s16(low)), vmovl_high_s16(low),
                                 vmovl_s16(vget_low_s16(high)), vmovl_high_s16(high));
  }
};

// Any format, unpacked by its portable definition.
template <QuantType kType>
struct Group : PortableGroup<kType>, SumsOf<PortableGroup<kType>::kHalfScales> {
  using Portable = PortableGroup<kType>;

  static Quants unpack(const std::uint8_t* bytes) {
    std::int8_t values[256];
    Portable::unpack(bytes, values);
    Quants q;
    MLXR_UNROLL
    for (int i = 0; i < 16; ++i)
      q.v[i] = vld1q_s8(values + 16 * i);
    return q;
  }

  static Scales scales(const std::uint8_t* bytes) {
    GroupScales s;
    Portable::scales(bytes, s);
    Scales r = {f8_load(s.scale), f8_zero(), vdupq_n_s8(0), vdupq_n_s8(0)};
    if constexpr (Portable::kHasMin || Portable::kHalfMins) r.min = f8_load(s.min);
    if constexpr (Portable::kHalfScales) r.half = vld1q_s8(s.half);
    if constexpr (Portable::kHalfMins) r.half_min = vld1q_s8(s.half_min);
    return r;
  }
};

inline Scales plain_scales(F8 scale) {
  return {scale, f8_zero(), vdupq_n_s8(0), vdupq_n_s8(0)};
}

template <>
struct Group<QuantType::kQ4_0> : PortableGroup<QuantType::kQ4_0>, SumsOf<false> {
  static Quants unpack(const std::uint8_t* bytes) {
    const int8x16_t zero = vdupq_n_s8(8);
    Quants q;
    MLXR_UNROLL
    for (std::size_t b = 0; b < 8; ++b) {
      const uint8x16_t nibbles = vld1q_u8(bytes + b * kBlockBytes + offsetof(BlockQ4_0, qs));
      q.v[2 * b] = vsubq_s8(vreinterpretq_s8_u8(vandq_u8(nibbles, vdupq_n_u8(15))), zero);
      q.v[2 * b + 1] = vsubq_s8(vreinterpretq_s8_u8(vshrq_n_u8(nibbles, 4)), zero);
    }
    return q;
  }

  static Scales scales(const std::uint8_t* bytes) { return plain_scales(load_f16_strided(bytes, kBlockBytes)); }
};

template <>
struct Group<QuantType::kQ8_0> : PortableGroup<QuantType::kQ8_0>, SumsOf<false> {
  static Quants unpack(const std::uint8_t* bytes) {
    Quants q;
    MLXR_UNROLL
    for (std::size_t i = 0; i < 16; ++i) {
      const std::uint8_t* block = bytes + i / 2 * kBlockBytes + offsetof(BlockQ8_0, qs);
      q.v[i] = vreinterpretq_s8_u8(vld1q_u8(block + i % 2 * 16));
    }
    return q;
  }

  static Scales scales(const std::uint8_t* bytes) { return plain_scales(load_f16_strided(bytes, kBlockBytes)); }
};

template <>
struct Group<QuantType::kQ4_K> : PortableGroup<QuantType::kQ4_K>, SumsOf<false> {
  static Quants unpack(const std::uint8_t* bytes) {
    Quants q;
    MLXR_UNROLL
    for (std::size_t i = 0; i < 8; ++i) {  // 16 bytes: half i % 2 of blocks 2 (i / 2) and 2 (i / 2) + 1
      const uint8x16_t nibbles = vld1q_u8(bytes + offsetof(BlockQ4_K, qs) + 16 * i);
      const std::size_t to = i / 2 * 4 + i % 2;
      q.v[to] = vreinterpretq_s8_u8(vandq_u8(nibbles, vdupq_n_u8(15)));
      q.v[to + 2] = vreinterpretq_s8_u8(vshrq_n_u8(nibbles, 4));
    }
    return q;
  }

  static Scales scales(const std::uint8_t* bytes) {
    const ScaleMinWords words = unpack_scale_min_words(bytes + offsetof(BlockQ4_K, scales));
    const F8 d = load_f16_broadcast(bytes + offsetof(BlockQ4_K, d));
    const F8 dmin = load_f16_broadcast(bytes + offsetof(BlockQ4_K, dmin));
    return {f8_mul(d, f8_from_bytes(words.scales)), f8_mul(dmin, f8_from_bytes(words.mins)), vdupq_n_s8(0),
            vdupq_n_s8(0)};
  }
};

template <>
struct Group<QuantType::kQ5_K> : PortableGroup<QuantType::kQ5_K>, SumsOf<false> {
  static Quants unpack(const std::uint8_t* bytes) {
    const uint8x16_t fifth = vdupq_n_u8(16);
    Quants q;
    MLXR_UNROLL
    for (std::size_t i = 0; i < 8; ++i) {
      const uint8x16_t nibbles = vld1q_u8(bytes + offsetof(BlockQ5_K, qs) + 16 * i);
      const uint8x16_t qh = vld1q_u8(bytes + offsetof(BlockQ5_K, qh) + 16 * (i % 2));
      const auto pair = static_cast<signed char>(i / 2 * 2);  // bit `pair` of qh goes to bit 4, the next one after it
      const uint8x16_t low = vandq_u8(vshlq_u8(qh, vdupq_n_s8(static_cast<signed char>(4 - pair))), fifth);
      const uint8x16_t high = vandq_u8(vshlq_u8(qh, vdupq_n_s8(static_cast<signed char>(3 - pair))), fifth);
      const std::size_t to = i / 2 * 4 + i % 2;
      q.v[to] = vreinterpretq_s8_u8(vorrq_u8(vandq_u8(nibbles, vdupq_n_u8(15)), low));
      q.v[to + 2] = vreinterpretq_s8_u8(vorrq_u8(vshrq_n_u8(nibbles, 4), high));
    }
    return q;
  }

  static Scales scales(const std::uint8_t* bytes) { return Group<QuantType::kQ4_K>::scales(bytes); }
};

template <>
struct Group<QuantType::kQ6_K> : PortableGroup<QuantType::kQ6_K>, SumsOf<true> {
  static int8x16_t combine(uint8x16_t low, uint8x16_t high) {
    const uint8x16_t value = vorrq_u8(low, vandq_u8(high, vdupq_n_u8(0x30)));
    return vsubq_s8(vreinterpretq_s8_u8(value), vdupq_n_s8(32));
  }

  static Quants unpack(const std::uint8_t* bytes) {
    Quants q;
    MLXR_UNROLL
    for (std::size_t i = 0; i < 4; ++i) {  // half i / 2 of the block, bytes 16 (i % 2) and on of its quarters
      const std::uint8_t* ql = bytes + offsetof(BlockQ6_K, ql) + 64 * (i / 2) + 16 * (i % 2);
      const uint8x16_t ql0 = vld1q_u8(ql);
      const uint8x16_t ql1 = vld1q_u8(ql + 32);
      const uint8x16_t qh = vld1q_u8(bytes + offsetof(BlockQ6_K, qh) + 32 * (i / 2) + 16 * (i % 2));
      int8x16_t* to = q.v + i / 2 * 8 + i % 2;
      to[0] = combine(vandq_u8(ql0, vdupq_n_u8(15)), vshlq_n_u8(qh, 4));
      to[2] = combine(vandq_u8(ql1, vdupq_n_u8(15)), vshlq_n_u8(qh, 2));
      to[4] = combine(vshrq_n_u8(ql0, 4), qh);
      to[6] = combine(vshrq_n_u8(ql1, 4), vshrq_n_u8(qh, 2));
    }
    return q;
  }

  static Scales scales(const std::uint8_t* bytes) {
    const uint8x16_t half = vld1q_u8(bytes + offsetof(BlockQ6_K, scales));
    return {load_f16_broadcast(bytes + offsetof(BlockQ6_K, d)), f8_zero(), vreinterpretq_s8_u8(half), vdupq_n_s8(0)};
  }
};
