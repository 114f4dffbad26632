#include "core/quant/legacy.h"

#include "core/base/float16.h"
#include "core/quant/block_io.h"

namespace mlxr {
namespace {

// Calls decode(block, out) for each block of 32 elements.
template <class Block, class Decode>
void for_each_block(const std::byte* blocks, std::span<float> out, Decode decode) {
  for (std::size_t b = 0; b < out.size() / kLegacyBlock; ++b) {
    decode(load_block<Block>(blocks, b), out.data() + b * kLegacyBlock);
  }
}

int nibble(const std::uint8_t (&qs)[16], std::size_t i) {
  return i < 16 ? qs[i] & 15 : qs[i - 16] >> 4;
}

int fifth_bit(const std::uint8_t (&qh)[4], std::size_t i) {
  return ((qh[i / 8] >> (i % 8)) & 1) << 4;
}

}  // namespace

void decode_q4_0(const std::byte* blocks, std::span<float> out) {
  for_each_block<BlockQ4_0>(blocks, out, [](const BlockQ4_0& block, float* x) {
    const float d = f16_to_f32(block.d);
    for (std::size_t i = 0; i < kLegacyBlock; ++i)
      x[i] = d * static_cast<float>(nibble(block.qs, i) - 8);
  });
}

void decode_q4_1(const std::byte* blocks, std::span<float> out) {
  for_each_block<BlockQ4_1>(blocks, out, [](const BlockQ4_1& block, float* x) {
    const float d = f16_to_f32(block.d);
    const float m = f16_to_f32(block.m);
    for (std::size_t i = 0; i < kLegacyBlock; ++i)
      x[i] = d * static_cast<float>(nibble(block.qs, i)) + m;
  });
}

void decode_q5_0(const std::byte* blocks, std::span<float> out) {
  for_each_block<BlockQ5_0>(blocks, out, [](const BlockQ5_0& block, float* x) {
    const float d = f16_to_f32(block.d);
    for (std::size_t i = 0; i < kLegacyBlock; ++i) {
      x[i] = d * static_cast<float>((nibble(block.qs, i) | fifth_bit(block.qh, i)) - 16);
    }
  });
}

void decode_q5_1(const std::byte* blocks, std::span<float> out) {
  for_each_block<BlockQ5_1>(blocks, out, [](const BlockQ5_1& block, float* x) {
    const float d = f16_to_f32(block.d);
    const float m = f16_to_f32(block.m);
    for (std::size_t i = 0; i < kLegacyBlock; ++i) {
      x[i] = d * static_cast<float>(nibble(block.qs, i) | fifth_bit(block.qh, i)) + m;
    }
  });
}

void decode_q8_0(const std::byte* blocks, std::span<float> out) {
  for_each_block<BlockQ8_0>(blocks, out, [](const BlockQ8_0& block, float* x) {
    const float d = f16_to_f32(block.d);
    for (std::size_t i = 0; i < kLegacyBlock; ++i)
      x[i] = d * static_cast<float>(block.qs[i]);
  });
}

void decode_q8_1(const std::byte* blocks, std::span<float> out) {
  for_each_block<BlockQ8_1>(blocks, out, [](const BlockQ8_1& block, float* x) {
    const float d = f16_to_f32(block.d);
    for (std::size_t i = 0; i < kLegacyBlock; ++i)
      x[i] = d * static_cast<float>(block.qs[i]);
  });
}

}  // namespace mlxr
