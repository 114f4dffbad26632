// Quantisation of activations (quantized_rows.h) for NEON. Included after simd_int_neon.inl.h.

inline uint32x4_t magnitude_bits(const float* p) {
  return vandq_u32(vreinterpretq_u32_f32(vld1q_f32(p)), vdupq_n_u32(0x7fffffffU));
}

inline int16x4_t quantize_4(const float* x, float factor) {
  return vmovn_s32(vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x), factor)));
}

inline int8x16_t quantize_16(const float* x, float factor) {
  const int16x8_t low = vcombine_s16(quantize_4(x, factor), quantize_4(x + 4, factor));
  const int16x8_t high = vcombine_s16(quantize_4(x + 8, factor), quantize_4(x + 12, factor));
  return vcombine_s8(vmovn_s16(low), vmovn_s16(high));
}

inline void quantize_row(const float* x, std::int64_t elements, ActivationGroup* out) {
  const std::int64_t whole_groups = elements / kGroupElements;
  for (std::int64_t g = 0; g < whole_groups; ++g) {
    ActivationGroup& to = out[g];
    for (int b = 0; b < 8; ++b) {
      const float* from = x + g * kGroupElements + 32 * b;
      uint32x4_t max = magnitude_bits(from);
      MLXR_UNROLL
      for (int i = 4; i < 32; i += 4)
        max = vmaxq_u32(max, magnitude_bits(from + i));
      const float factor = quant_factor(vmaxvq_u32(max), &to.scale[b]);
      const bool empty = factor == 0.0F;
      const int8x16_t low = empty ? vdupq_n_s8(0) : quantize_16(from, factor);
      const int8x16_t high = empty ? vdupq_n_s8(0) : quantize_16(from + 16, factor);
      vst1q_s8(to.q + 32 * b, low);
      vst1q_s8(to.q + 32 * b + 16, high);
      to.half_sum[b][0] = vaddlvq_s8(low);
      to.half_sum[b][1] = vaddlvq_s8(high);
      to.sum[b] = to.half_sum[b][0] + to.half_sum[b][1];
      to.scaled_sum[b] = to.scale[b] * static_cast<float>(to.sum[b]);
    }
  }
  if (elements % kGroupElements != 0) {
    const std::int64_t done = whole_groups * kGroupElements;
    quantize_row_reference(x + done, elements - done, out + whole_groups);
  }
}
