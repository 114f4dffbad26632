#pragma once
// The IQ formats of GGUF with codebooks (iq_grids.h): super-blocks of 256 elements, cut into groups of 8 or 4 that
// index a row of a codebook, with signs beside it. IQ4_NL and IQ4_XS, whose codebook is 16 levels, are in iq4.h. Source
// of the layouts: ggml-org/ggml, src/ggml-common.h (block_iq2_xxs ... block_iq1_m), decode as in src/ggml-quants.c.
//
// Multi-byte fields are little-endian; binary16 values are kept as their bits. "Chunk" k = 0..7 is elements
// 32k..32k+31, "group" g = 0..31 elements 8g..8g+7, g = 4k + l. row[j] is element j of a codebook row, sign is +1 or
// -1. Every product below has at most 24 significant bits and is exact in f32, in any order. Any bytes are a valid
// block.

#include <cstddef>
#include <cstdint>
#include <span>

namespace mlxr {

inline constexpr std::size_t kIqBlock = 256;  // elements a block, for every format of this header

// x = d * (0.5 + s) / 4 * row[j] * sign, rows of kIq2XxsGrid. Chunk k is qs[4k..4k+3]: the first two are four row
// indices, a byte for each group; the last two are a 32-bit word with four 7-bit sign indices (iq_signs), lowest first,
// and s on top.
struct BlockIQ2_XXS {
  std::uint16_t d;
  std::uint16_t qs[32];
};
static_assert(sizeof(BlockIQ2_XXS) == 66);

// The same value, rows of kIq2XsGrid: qs[g] is a 9-bit row index and a 7-bit sign index; s is 4 bits of scales[k], the
// low half for the first two groups of a chunk, the high half for the others.
struct BlockIQ2_XS {
  std::uint16_t d;
  std::uint16_t qs[32];
  std::uint8_t scales[8];
};
static_assert(sizeof(BlockIQ2_XS) == 74);

// As IQ2_XS, rows of kIq2SGrid: the index is qs[g] and bits 2l, 2l+1 of qh[k] above it; bit j of signs[g] is a sign
// itself.
struct BlockIQ2_S {
  std::uint16_t d;
  std::uint8_t qs[32];
  std::uint8_t signs[32];
  std::uint8_t qh[8];
  std::uint8_t scales[8];
};
static_assert(sizeof(BlockIQ2_S) == 82);

// x = d * (0.5 + s) / 2 * row[j] * sign, two rows of kIq3XxsGrid a group: qs[2g] and qs[2g + 1]. signs[k] as the word
// of IQ2_XXS, kept as four bytes because it is not aligned.
struct BlockIQ3_XXS {
  std::uint16_t d;
  std::uint8_t qs[64];
  std::uint8_t signs[8][4];
};
static_assert(sizeof(BlockIQ3_XXS) == 98);

// x = d * (1 + 2 s) * row[j] * sign, two rows of kIq3SGrid a group: qs[2g + h] with bit 2l + h of qh[k] above it. Bit j
// of signs[g] is a sign; s is half k % 2 of scales[k / 2].
struct BlockIQ3_S {
  std::uint16_t d;
  std::uint8_t qs[64];
  std::uint8_t qh[8];
  std::uint8_t signs[32];
  std::uint8_t scales[4];
};
static_assert(sizeof(BlockIQ3_S) == 110);

// x = d * (2 s + 1) * (row[j] + delta), rows of kIq1Grid: the index is qs[g] with bits 3l..3l+2 of qh[k] above it; s is
// bits 12..14 of qh[k]; delta is 1/8, negative when bit 15 is set.
struct BlockIQ1_S {
  std::uint16_t d;
  std::uint8_t qs[32];
  std::uint16_t qh[8];
};
static_assert(sizeof(BlockIQ1_S) == 50);

// As IQ1_S: half g % 2 of qh[g / 2] has three index bits and, on top, the sign of delta of that group. s is 3 bits for
// 16 elements: pair p = g / 2 has bits 3 (p % 4) and up of scales[p / 4]. The top four bits of the four scales are d,
// lowest first.
struct BlockIQ1_M {
  std::uint8_t qs[32];
  std::uint8_t qh[16];
  std::uint16_t scales[4];
};
static_assert(sizeof(BlockIQ1_M) == 56);

// DecodeFn of quant.h: out.size() is a multiple of 256.
void decode_iq2_xxs(const std::byte* blocks, std::span<float> out);
void decode_iq2_xs(const std::byte* blocks, std::span<float> out);
void decode_iq2_s(const std::byte* blocks, std::span<float> out);
void decode_iq3_xxs(const std::byte* blocks, std::span<float> out);
void decode_iq3_s(const std::byte* blocks, std::span<float> out);
void decode_iq1_s(const std::byte* blocks, std::span<float> out);
void decode_iq1_m(const std::byte* blocks, std::span<float> out);

}  // namespace mlxr
