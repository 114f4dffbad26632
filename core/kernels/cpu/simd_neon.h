#pragma once
// The float vocabulary for NEON, which every 64-bit Arm has; see simd_scalar.h for what each word means.

#include "core/kernels/cpu/target_region.h"

#if MLXR_ARM64

#include <arm_neon.h>

#include <cstdint>

#include "core/base/cpu_features.h"

namespace mlxr {

struct SimdNeon {
  using F32 = float32x4_t;
  static constexpr Isa kIsa = Isa::kNeon;
  static constexpr int kLanes = 4;
  static constexpr int kRegisters = 32;

  static MLXR_ALWAYS_INLINE F32 zero() { return vdupq_n_f32(0.0F); }
  static MLXR_ALWAYS_INLINE F32 set(float value) { return vdupq_n_f32(value); }
  static MLXR_ALWAYS_INLINE F32 load(const float* p) { return vld1q_f32(p); }
  static MLXR_ALWAYS_INLINE void store(float* p, F32 v) { vst1q_f32(p, v); }
  static MLXR_ALWAYS_INLINE F32 load_first(const float* p, int n) {
    float lanes[kLanes] = {};
    for (int i = 0; i < n; ++i)
      lanes[i] = p[i];
    return vld1q_f32(lanes);
  }
  static MLXR_ALWAYS_INLINE void store_first(float* p, F32 v, int n) {
    float lanes[kLanes];
    vst1q_f32(lanes, v);
    for (int i = 0; i < n; ++i)
      p[i] = lanes[i];
  }

  static MLXR_ALWAYS_INLINE F32 load_f16(const std::uint16_t* p) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
  }
  static MLXR_ALWAYS_INLINE F32 load_bf16(const std::uint16_t* p) {
    return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16));
  }
  static MLXR_ALWAYS_INLINE void store_f16(std::uint16_t* p, F32 v) {
    vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(v)));
  }
  static MLXR_ALWAYS_INLINE void store_bf16(std::uint16_t* p, F32 v) {
    const uint32x4_t bits = vreinterpretq_u32_f32(v);
    const uint32x4_t upper = vshrq_n_u32(bits, 16);
    const uint32x4_t odd = vandq_u32(upper, vdupq_n_u32(1));
    const uint32x4_t sum = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
    const uint32x4_t same = vceqq_f32(v, v);
    const uint32x4_t quiet = vorrq_u32(upper, vdupq_n_u32(0x40));
    vst1_u16(p, vmovn_u32(vbslq_u32(same, vshrq_n_u32(sum, 16), quiet)));
  }

  static MLXR_ALWAYS_INLINE F32 set_f16(const std::uint8_t* p) {
    std::uint16_t bits;
    __builtin_memcpy(&bits, p, sizeof(bits));
    return vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(bits)));
  }
  static MLXR_ALWAYS_INLINE F32 load_s8(const std::uint8_t* p) { return vcvtq_f32_s32(vmovl_s16(widen(p))); }
  static MLXR_ALWAYS_INLINE F32 load_s4(const std::uint8_t* p, bool high) {
    const int16x4_t top = vshl_s16(widen(p), vdup_n_s16(high ? 8 : 12));
    return vcvtq_f32_s32(vmovl_s16(vshr_n_s16(top, 12)));
  }
  static MLXR_ALWAYS_INLINE F32 load_e4m3(const std::uint8_t* p) {
    const uint16x4_t bits = vreinterpret_u16_s16(vshl_n_s16(widen(p), 7));
    return vcvt_f32_f16(vreinterpret_f16_u16(vand_u16(bits, vdup_n_u16(0xbf80))));
  }

  static MLXR_ALWAYS_INLINE F32 add(F32 a, F32 b) { return vaddq_f32(a, b); }
  static MLXR_ALWAYS_INLINE F32 sub(F32 a, F32 b) { return vsubq_f32(a, b); }
  static MLXR_ALWAYS_INLINE F32 mul(F32 a, F32 b) { return vmulq_f32(a, b); }
  static MLXR_ALWAYS_INLINE F32 div(F32 a, F32 b) { return vdivq_f32(a, b); }
  static MLXR_ALWAYS_INLINE F32 min(F32 a, F32 b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
  static MLXR_ALWAYS_INLINE F32 max(F32 a, F32 b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
  static MLXR_ALWAYS_INLINE F32 fma(F32 a, F32 b, F32 c) { return vfmaq_f32(c, a, b); }
  static MLXR_ALWAYS_INLINE F32 abs(F32 a) { return vabsq_f32(a); }
  static MLXR_ALWAYS_INLINE F32 select_less(F32 a, F32 b, F32 then, F32 otherwise) {
    return vbslq_f32(vcltq_f32(a, b), then, otherwise);
  }
  static MLXR_ALWAYS_INLINE F32 keep_lanes(F32 v, int begin, int end, F32 otherwise) {
    const std::int32_t indices[kLanes] = {0, 1, 2, 3};
    const int32x4_t lane = vld1q_s32(indices);
    const uint32x4_t mask = vandq_u32(vcgeq_s32(lane, vdupq_n_s32(begin)), vcltq_s32(lane, vdupq_n_s32(end)));
    return vbslq_f32(mask, v, otherwise);
  }
  static MLXR_ALWAYS_INLINE F32 swap_pairs(F32 v) { return vrev64q_f32(v); }
  static MLXR_ALWAYS_INLINE F32 power_of_low_bits(F32 t) {
    const int32x4_t exponent = vshlq_n_s32(vreinterpretq_s32_f32(t), 23);
    return vreinterpretq_f32_s32(vaddq_s32(exponent, vdupq_n_s32(0x3f800000)));
  }

  static MLXR_ALWAYS_INLINE float reduce_add(F32 v) {
    const float32x2_t sum = vadd_f32(vget_low_f32(v), vget_high_f32(v));
    return vget_lane_f32(sum, 0) + vget_lane_f32(sum, 1);
  }
  static MLXR_ALWAYS_INLINE float reduce_max(F32 v) { return vmaxvq_f32(v); }

 private:
  static MLXR_ALWAYS_INLINE int16x4_t widen(const std::uint8_t* p) {
    std::uint32_t bytes;
    __builtin_memcpy(&bytes, p, sizeof(bytes));
    return vget_low_s16(vmovl_s8(vreinterpret_s8_u32(vdup_n_u32(bytes))));
  }
};

}  // namespace mlxr

#endif  // MLXR_ARM64
