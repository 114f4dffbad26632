#pragma once
// Formats of models trained with one-bit or ternary weights: one binary16 scale a block and no codebook.
// Source of the layouts: ggml-org/ggml, src/ggml-common.h (block_tq1_0, block_tq2_0, block_q1_0, block_q2_0), decode as
// in src/ggml-quants.c. Multi-byte fields are little-endian. Any bytes are a valid block.

#include <cstddef>
#include <cstdint>
#include <span>

namespace mlxr {

// 256 elements, x = d * (q - 1), q in 0..2. A byte holds base-3 digits as the fraction digits of byte / 256: multiply
// by 3, the carry out of 8 bits is the first digit, go on with what is left. qs[0..31]: digit n of byte m is element 32
// n + m, n in 0..4; qs[32..47]: digit n of byte 32 + m is element 160 + 16 n + m; qh: digit n of byte m is element 240
// + 4 n + m, n in 0..3.
struct BlockTQ1_0 {
  std::uint8_t qs[48];
  std::uint8_t qh[4];
  std::uint16_t d;
};
static_assert(sizeof(BlockTQ1_0) == 54);

// 256 elements, x = d * (q - 1), q in 0..3: bits 2n, 2n+1 of qs[32 h + m] are element 128 h + 32 n + m.
struct BlockTQ2_0 {
  std::uint8_t qs[64];
  std::uint16_t d;
};
static_assert(sizeof(BlockTQ2_0) == 66);

// 128 elements: d where bit j % 8 of qs[j / 8] is set, else -d.
struct BlockQ1_0 {
  std::uint16_t d;
  std::uint8_t qs[16];
};
static_assert(sizeof(BlockQ1_0) == 18);

// 64 elements, x = d * (q - 1), q in 0..3: two bits of qs[j / 4], lowest first.
struct BlockQ2_0 {
  std::uint16_t d;
  std::uint8_t qs[16];
};
static_assert(sizeof(BlockQ2_0) == 18);

// DecodeFn of quant.h.
void decode_tq1_0(const std::byte* blocks, std::span<float> out);
void decode_tq2_0(const std::byte* blocks, std::span<float> out);
void decode_q1_0(const std::byte* blocks, std::span<float> out);
void decode_q2_0(const std::byte* blocks, std::span<float> out);

}  // namespace mlxr
