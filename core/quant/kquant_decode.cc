#include "core/base/float16.h"
#include "core/quant/block_io.h"
#include "core/quant/kquant.h"

namespace mlxr {
namespace {

// Calls decode(block, out) for each block of 256 elements.
template <class Block, class Decode>
void for_each_block(const std::byte* blocks, std::span<float> out, Decode decode) {
  for (std::size_t b = 0; b < out.size() / kSuperBlock; ++b) {
    decode(load_block<Block>(blocks, b), out.data() + b * kSuperBlock);
  }
}

// Two-bit element e of the order that Q2_K, Q3_K and the upper bits of Q6_K share.
int two_bits(const std::uint8_t (&qs)[64], std::size_t e) {
  return (qs[32 * (e / 128) + e % 32] >> (2 * (e % 128 / 32))) & 3;
}

int nibble(const std::uint8_t (&qs)[128], std::size_t e) {
  return (qs[32 * (e / 64) + e % 32] >> (4 * (e % 64 / 32))) & 15;
}

// Bit e / 32 of byte e % 32: the extra bit of Q3_K and Q5_K.
int plane_bit(const std::uint8_t (&plane)[32], std::size_t e) {
  return (plane[e % 32] >> (e / 32)) & 1;
}

int q6_low_bits(const std::uint8_t (&ql)[128], std::size_t e) {
  return (ql[64 * (e / 128) + e % 64] >> (4 * (e % 128 / 64))) & 15;
}

}  // namespace

void decode_q2_k(const std::byte* blocks, std::span<float> out) {
  for_each_block<BlockQ2_K>(blocks, out, [](const BlockQ2_K& block, float* x) {
    const float d = f16_to_f32(block.d);
    const float dmin = f16_to_f32(block.dmin);
    for (std::size_t s = 0; s < 16; ++s) {
      const float scale = d * static_cast<float>(block.scales[s] & 15);
      const float min = dmin * static_cast<float>(block.scales[s] >> 4);
      for (std::size_t e = 16 * s; e < 16 * (s + 1); ++e)
        x[e] = scale * static_cast<float>(two_bits(block.qs, e)) - min;
    }
  });
}

void decode_q3_k(const std::byte* blocks, std::span<float> out) {
  for_each_block<BlockQ3_K>(blocks, out, [](const BlockQ3_K& block, float* x) {
    const float d = f16_to_f32(block.d);
    const Scales16 scales = unpack_q3_scales(block.scales);
    for (std::size_t s = 0; s < 16; ++s) {
      const float scale = d * static_cast<float>(scales.scale[s] - 32);
      for (std::size_t e = 16 * s; e < 16 * (s + 1); ++e) {
        const int q = two_bits(block.qs, e) | (plane_bit(block.hmask, e) << 2);
        x[e] = scale * static_cast<float>(q - 4);
      }
    }
  });
}

void decode_q4_k(const std::byte* blocks, std::span<float> out) {
  for_each_block<BlockQ4_K>(blocks, out, [](const BlockQ4_K& block, float* x) {
    const float d = f16_to_f32(block.d);
    const float dmin = f16_to_f32(block.dmin);
    const ScaleMins values = unpack_scale_mins(block.scales);
    for (std::size_t s = 0; s < 8; ++s) {
      const float scale = d * static_cast<float>(values.scale[s]);
      const float min = dmin * static_cast<float>(values.min[s]);
      for (std::size_t e = 32 * s; e < 32 * (s + 1); ++e)
        x[e] = scale * static_cast<float>(nibble(block.qs, e)) - min;
    }
  });
}

void decode_q5_k(const std::byte* blocks, std::span<float> out) {
  for_each_block<BlockQ5_K>(blocks, out, [](const BlockQ5_K& block, float* x) {
    const float d = f16_to_f32(block.d);
    const float dmin = f16_to_f32(block.dmin);
    const ScaleMins values = unpack_scale_mins(block.scales);
    for (std::size_t s = 0; s < 8; ++s) {
      const float scale = d * static_cast<float>(values.scale[s]);
      const float min = dmin * static_cast<float>(values.min[s]);
      for (std::size_t e = 32 * s; e < 32 * (s + 1); ++e) {
        const int q = nibble(block.qs, e) | (plane_bit(block.qh, e) << 4);
        x[e] = scale * static_cast<float>(q) - min;
      }
    }
  });
}

void decode_q6_k(const std::byte* blocks, std::span<float> out) {
  for_each_block<BlockQ6_K>(blocks, out, [](const BlockQ6_K& block, float* x) {
    const float d = f16_to_f32(block.d);
    for (std::size_t s = 0; s < 16; ++s) {
      const float scale = d * static_cast<float>(block.scales[s]);
      for (std::size_t e = 16 * s; e < 16 * (s + 1); ++e) {
        const int q = q6_low_bits(block.ql, e) | (two_bits(block.qh, e) << 4);
        x[e] = scale * static_cast<float>(q - 32);
      }
    }
  });
}

void decode_q8_k(const std::byte* blocks, std::span<float> out) {
  for_each_block<BlockQ8_K>(blocks, out, [](const BlockQ8_K& block, float* x) {
    for (std::size_t e = 0; e < kSuperBlock; ++e)
      x[e] = block.d * static_cast<float>(block.qs[e]);
  });
}

}  // namespace mlxr
