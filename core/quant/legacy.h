#pragma once
// The legacy GGUF formats: blocks of 32 elements with one binary16 scale and, in the `_1` types, one binary16 offset.
// Source of the layouts: ggml-org/ggml, src/ggml-common.h (block_q4_0 ... block_q8_1), decode as in src/ggml-quants.c.
//
// Where elements are packed in nibbles, byte j of `qs` holds element j in its low half and element j + 16 in its high
// half. Multi-byte fields are little-endian; binary16 values are kept as their bits.

#include <cstddef>
#include <cstdint>
#include <span>

namespace mlxr {

inline constexpr std::size_t kLegacyBlock = 32;  // elements a block, for every legacy type

// x = d * (q - 8), q in 0..15
struct BlockQ4_0 {
  std::uint16_t d;
  std::uint8_t qs[16];
};
static_assert(sizeof(BlockQ4_0) == 18);

// x = d * q + m, q in 0..15
struct BlockQ4_1 {
  std::uint16_t d;
  std::uint16_t m;
  std::uint8_t qs[16];
};
static_assert(sizeof(BlockQ4_1) == 20);

// x = d * (q - 16), q in 0..31; bit 4 of element j is bit j of the 32-bit `qh`
struct BlockQ5_0 {
  std::uint16_t d;
  std::uint8_t qh[4];
  std::uint8_t qs[16];
};
static_assert(sizeof(BlockQ5_0) == 22);

// x = d * q + m, q in 0..31; `qh` as in Q5_0
struct BlockQ5_1 {
  std::uint16_t d;
  std::uint16_t m;
  std::uint8_t qh[4];
  std::uint8_t qs[16];
};
static_assert(sizeof(BlockQ5_1) == 24);

// x = d * q
struct BlockQ8_0 {
  std::uint16_t d;
  std::int8_t qs[32];
};
static_assert(sizeof(BlockQ8_0) == 34);

// x = d * q; s = d * sum(q) saves a kernel the sum. A format of activations: files do not carry it.
struct BlockQ8_1 {
  std::uint16_t d;
  std::uint16_t s;
  std::int8_t qs[32];
};
static_assert(sizeof(BlockQ8_1) == 36);

// DecodeFn of quant.h: out.size() is a multiple of 32. Any bytes are a valid block.
void decode_q4_0(const std::byte* blocks, std::span<float> out);
void decode_q4_1(const std::byte* blocks, std::span<float> out);
void decode_q5_0(const std::byte* blocks, std::span<float> out);
void decode_q5_1(const std::byte* blocks, std::span<float> out);
void decode_q8_0(const std::byte* blocks, std::span<float> out);
void decode_q8_1(const std::byte* blocks, std::span<float> out);

// EncodeFn of quant.h: in.size() is a multiple of 32. Any input gives a finite block: NaN counts as 0, and magnitudes
// stop at the largest binary16 value. Thread-safe.
void encode_q4_0(std::span<const float> in, std::span<const float> importance, std::byte* blocks);
void encode_q4_1(std::span<const float> in, std::span<const float> importance, std::byte* blocks);
void encode_q5_0(std::span<const float> in, std::span<const float> importance, std::byte* blocks);
void encode_q5_1(std::span<const float> in, std::span<const float> importance, std::byte* blocks);
void encode_q8_0(std::span<const float> in, std::span<const float> importance, std::byte* blocks);

}  // namespace mlxr
