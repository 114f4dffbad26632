#pragma once
// The K formats of GGUF: super-blocks of 256 elements, cut into sub-blocks of 16 or 32 whose scales (and minima) are
// themselves quantised against one or two binary16 scales of the super-block.
// Source of the layouts: ggml-org/ggml, src/ggml-common.h (block_q2_K ... block_q8_K), decode as in src/ggml-quants.c.
//
// Multi-byte fields are little-endian; binary16 values are kept as their bits. "Element e" counts within the 256.

#include <cstddef>
#include <cstdint>
#include <span>

namespace mlxr {

inline constexpr std::size_t kSuperBlock = 256;  // elements a block, for every K type

// 16 sub-blocks of 16: x = d * sc * q - dmin * m, q in 0..3, sc and m in 0..15.
// scales[s]: sc in the low, m in the high half. Bits 2k, 2k+1 of qs[32 h + l] are element 128 h + 32 k + l.
struct BlockQ2_K {
  std::uint8_t scales[16];
  std::uint8_t qs[64];
  std::uint16_t d;
  std::uint16_t dmin;
};
static_assert(sizeof(BlockQ2_K) == 84);

// 16 sub-blocks of 16: x = d * (sc - 32) * (q - 4), q in 0..7, sc in 0..63.
// Low two bits of q as in Q2_K; bit 2 of element 32 k + l is bit k of hmask[l]. Scale s keeps its low four bits in half
// s / 8 of byte s % 8 of `scales`, its upper two in bits 2 (s / 4) of byte 8 + s % 4.
struct BlockQ3_K {
  std::uint8_t hmask[32];
  std::uint8_t qs[64];
  std::uint8_t scales[12];
  std::uint16_t d;
};
static_assert(sizeof(BlockQ3_K) == 110);

// 8 sub-blocks of 32: x = d * sc * q - dmin * m, q in 0..15, sc and m in 0..63 packed by pack_scale_mins.
// Byte 32 p + l of `qs` holds element 64 p + l in its low and 64 p + 32 + l in its high half.
struct BlockQ4_K {
  std::uint16_t d;
  std::uint16_t dmin;
  std::uint8_t scales[12];
  std::uint8_t qs[128];
};
static_assert(sizeof(BlockQ4_K) == 144);

// As Q4_K with q in 0..31: bit 4 of element 32 k + l is bit k of qh[l].
struct BlockQ5_K {
  std::uint16_t d;
  std::uint16_t dmin;
  std::uint8_t scales[12];
  std::uint8_t qh[32];
  std::uint8_t qs[128];
};
static_assert(sizeof(BlockQ5_K) == 176);

// 16 sub-blocks of 16: x = d * scales[s] * (q - 32), q in 0..63. In each half h of 128, with element 128 h + 32 k + l:
// its low four bits are in ql[64 h + 32 (k % 2) + l], low half for k < 2 and high half else; its upper two are bits
// 2k, 2k+1 of qh[32 h + l].
struct BlockQ6_K {
  std::uint8_t ql[128];
  std::uint8_t qh[64];
  std::int8_t scales[16];
  std::uint16_t d;
};
static_assert(sizeof(BlockQ6_K) == 210);

// x = d * q; bsums[s] is the sum of the 16 q of sub-block s. A format of activations: files do not carry it.
struct BlockQ8_K {
  float d;
  std::int8_t qs[256];
  std::int16_t bsums[16];
};
static_assert(sizeof(BlockQ8_K) == 292);

// The eight 6-bit scales and minima of Q4_K and Q5_K in their 12 bytes: s = 0..3 lie in the low six bits of bytes s and
// s + 4; s = 4..7 have their low four bits in the halves of byte s + 4 and their upper two on top of bytes s - 4 and s.
struct ScaleMins {
  std::uint8_t scale[8];
  std::uint8_t min[8];
};
ScaleMins unpack_scale_mins(const std::uint8_t (&packed)[12]);
// Requires values below 64.
void pack_scale_mins(const ScaleMins& values, std::uint8_t (&packed)[12]);

// The sixteen 6-bit scales of Q3_K, 0..63 (the offset of 32 not yet taken off).
struct Scales16 {
  std::uint8_t scale[16];
};
Scales16 unpack_q3_scales(const std::uint8_t (&packed)[12]);
// Requires values below 64.
void pack_q3_scales(const Scales16& values, std::uint8_t (&packed)[12]);

// DecodeFn of quant.h: out.size() is a multiple of 256. Any bytes are a valid block.
void decode_q2_k(const std::byte* blocks, std::span<float> out);
void decode_q3_k(const std::byte* blocks, std::span<float> out);
void decode_q4_k(const std::byte* blocks, std::span<float> out);
void decode_q5_k(const std::byte* blocks, std::span<float> out);
void decode_q6_k(const std::byte* blocks, std::span<float> out);
void decode_q8_k(const std::byte* blocks, std::span<float> out);

// EncodeFn of quant.h: in.size() is a multiple of 256. Any input gives a finite block: NaN counts as 0, and magnitudes
// stop at the largest binary16 value. Thread-safe.
void encode_q2_k(std::span<const float> in, std::span<const float> importance, std::byte* blocks);
void encode_q3_k(std::span<const float> in, std::span<const float> importance, std::byte* blocks);
void encode_q4_k(std::span<const float> in, std::span<const float> importance, std::byte* blocks);
void encode_q5_k(std::span<const float> in, std::span<const float> importance, std::byte* blocks);
void encode_q6_k(std::span<const float> in, std::span<const float> importance, std::byte* blocks);

}  // namespace mlxr
