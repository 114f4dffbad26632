// Vocabulary of the quantised kernels for NEON. Included inside a namespace and target region that has said kDotprod:
// whether sdot is there.

struct F8 {
  float32x4_t low;
  float32x4_t high;
};
struct I8 {
  int32x4_t low;
  int32x4_t high;
};

inline F8 f8_zero() {
  return {vdupq_n_f32(0.0F), vdupq_n_f32(0.0F)};
}
inline F8 f8_load(const float* p) {
  return {vld1q_f32(p), vld1q_f32(p + 4)};
}
inline F8 f8_from(I8 a) {
  return {vcvtq_f32_s32(a.low), vcvtq_f32_s32(a.high)};
}
inline F8 f8_mul(F8 a, F8 b) {
  return {vmulq_f32(a.low, b.low), vmulq_f32(a.high, b.high)};
}
inline F8 f8_fma(F8 a, F8 b, F8 c) {
  return {vfmaq_f32(c.low, a.low, b.low), vfmaq_f32(c.high, a.high, b.high)};
}
inline F8 f8_fnma(F8 a, F8 b, F8 c) {
  return {vfmsq_f32(c.low, a.low, b.low), vfmsq_f32(c.high, a.high, b.high)};
}
inline float f8_fold(F8 a) {
  const float32x4_t s4 = vaddq_f32(a.low, a.high);
  const float32x2_t s2 = vadd_f32(vget_low_f32(s4), vget_high_f32(s4));
  return vget_lane_f32(s2, 0) + vget_lane_f32(s2, 1);
}

inline void prefetch(const std::uint8_t* p) {
  __builtin_prefetch(p);
}

// acc plus the sums of products of four bytes or, without sdot, of some four of them: the sum over lanes is the same.
inline int32x4_t dot_some(int32x4_t acc, int8x16_t a, int8x16_t b) {
  if constexpr (kDotprod) return dot_lanes(acc, a, b);
  const int16x8_t products = vmull_s8(vget_low_s8(a), vget_low_s8(b));
  return vpadalq_s16(acc, vmlal_high_s8(products, a, b));  // |sum of two products| <= 2 * 128 * 127
}

// Sums over the lanes of each of four vectors.
inline int32x4_t sum_lanes(int32x4_t a, int32x4_t b, int32x4_t c, int32x4_t d) {
  return vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d));
}

inline float32x4_t load_f16x4(const std::uint16_t* p) {
  return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}
inline F8 load_f16_strided(const std::uint8_t* p, std::size_t stride) {
  std::uint16_t bits[8];
  MLXR_UNROLL
  for (std::size_t i = 0; i < 8; ++i)
    bits[i] = load_bytes<std::uint16_t>(p + i * stride);
  return {load_f16x4(bits), load_f16x4(bits + 4)};
}
inline F8 load_f16_broadcast(const std::uint8_t* p) {
  const float32x4_t all = vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(load_bytes<std::uint16_t>(p))));
  return {all, all};
}
inline F8 f8_from_bytes(std::uint64_t bytes) {
  const uint16x8_t wide = vmovl_u8(vcreate_u8(bytes));
  return {vcvtq_f32_u32(vmovl_u16(vget_low_u16(wide))), vcvtq_f32_u32(vmovl_high_u16(wide))};
}
