#pragma once
// MXFP4 and NVFP4: four-bit floats (E2M1: 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives) that share a small float as
// scale. Source: OCP Microscaling Formats (MX) Specification v1.0, sections 5 and 6; block layouts of ggml-org/ggml,
// src/ggml-common.h (block_mxfp4, block_nvfp4), decode as in src/ggml-quants.c. Any bytes are a valid block.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace mlxr {

inline constexpr std::size_t kMxfp4Block = 32;
inline constexpr std::size_t kNvfp4Block = 64;
inline constexpr std::size_t kNvfp4Group = 16;  // elements a scale

// E2M1 times two, so that kernels can keep it in integers; scales below are halved in return.
inline constexpr std::array<std::int8_t, 16> kFp4DoubledValues = {0, 1,  2,  3,  4,  6,  8,  12,
                                                                  0, -1, -2, -3, -4, -6, -8, -12};

// x = 2^(e - 128) * doubled value: byte j holds element j in its low half and element j + 16 in its high half.
struct BlockMXFP4 {
  std::uint8_t e;
  std::uint8_t qs[16];
};
static_assert(sizeof(BlockMXFP4) == 17);

// x = f(d[s]) / 2 * doubled value for group s of 16 elements, f a float of 4 exponent and 3 mantissa bits (bias 7, sign
// ignored). qs[8s + j] holds element 16 s + j in its low half and element 16 s + 8 + j in its high half. A checkpoint's
// scale for the whole tensor is not part of the block.
struct BlockNVFP4 {
  std::uint8_t d[4];
  std::uint8_t qs[32];
};
static_assert(sizeof(BlockNVFP4) == 36);

// Half of an E8M0 scale: 2^(e - 128), subnormal for e < 2. e = 255, NaN in the specification, is read as 2^127 like
// ggml does.
float mxfp4_half_scale(std::uint8_t e);
// Half of an E4M3 scale without sign. 0x7f, NaN in that format, is 0.
float nvfp4_half_scale(std::uint8_t bits);

// DecodeFn of quant.h.
void decode_mxfp4(const std::byte* blocks, std::span<float> out);
void decode_nvfp4(const std::byte* blocks, std::span<float> out);

// EncodeFn of quant.h: the scale is that of the specification, so importance changes nothing; values are rounded to
// nearest. Input from outside is prepared by prepare_values() of scale_search.h.
void encode_mxfp4(std::span<const float> in, std::span<const float> importance, std::byte* blocks);

}  // namespace mlxr
