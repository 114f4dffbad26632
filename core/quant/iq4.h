#pragma once
// IQ4_NL and IQ4_XS: four-bit formats of GGUF whose 16 levels are not evenly spaced (kIq4Values of iq_grids.h), denser
// around zero, where weights are.
// Source of the layouts: ggml-org/ggml, src/ggml-common.h (block_iq4_nl, block_iq4_xs), decode as in src/ggml-quants.c.
//
// Multi-byte fields are little-endian; binary16 values are kept as their bits. Any bytes are a valid block.

#include <cstddef>
#include <cstdint>
#include <span>

namespace mlxr {

inline constexpr std::size_t kIq4NlBlock = 32;
inline constexpr std::size_t kIq4XsBlock = 256;

// x = d * level: byte j holds element j in its low half and element j + 16 in its high half.
struct BlockIQ4_NL {
  std::uint16_t d;
  std::uint8_t qs[16];
};
static_assert(sizeof(BlockIQ4_NL) == 18);

// 8 sub-blocks of 32: x = d * (s - 32) * level, s in 0..63. Sub-block k has its low four bits in half k % 2 of
// scales_l[k / 2] and its upper two in bits 2k, 2k+1 of scales_h; its elements are qs[16k..16k+15], as in IQ4_NL.
struct BlockIQ4_XS {
  std::uint16_t d;
  std::uint16_t scales_h;
  std::uint8_t scales_l[4];
  std::uint8_t qs[128];
};
static_assert(sizeof(BlockIQ4_XS) == 136);

// DecodeFn of quant.h. d times an integer of at most 12 bits is exact in f32.
void decode_iq4_nl(const std::byte* blocks, std::span<float> out);
void decode_iq4_xs(const std::byte* blocks, std::span<float> out);

// EncodeFn of quant.h: for each block, the lowest weighted squared error among many scales of either sign, each
// refitted by least squares to the levels that it chose; IQ4_XS then refits the super-block's scale, as it will be
// stored. Input from outside is prepared by prepare_values() of scale_search.h. About 150 and 250 ns an element on one
// core.
void encode_iq4_nl(std::span<const float> in, std::span<const float> importance, std::byte* blocks);
void encode_iq4_xs(std::span<const float> in, std::span<const float> importance, std::byte* blocks);

}  // namespace mlxr
