#include "core/quant/block_io.h"
#include "core/quant/kquant.h"
#include "core/quant/kquant_fit.h"

namespace mlxr {
namespace {

constexpr MinsLayout kQ2Layout{.sub_block = 16, .highest_level = 3, .highest_scale = 15};
constexpr MinsLayout kQ4Layout{.sub_block = 32, .highest_level = 15, .highest_scale = 63};
constexpr MinsLayout kQ5Layout{.sub_block = 32, .highest_level = 31, .highest_scale = 63};
// Scale -32 of Q3_K and -128 of Q6_K take the largest sub-block, with d of the sign that fits.
constexpr SignedLayout kQ3Layout{.levels = {.lowest = -4, .highest = 3}, .scales = {.lowest = -32, .highest = 31}};
constexpr SignedLayout kQ6Layout{.levels = {.lowest = -32, .highest = 31}, .scales = {.lowest = -128, .highest = 127}};

// Stores pack(fit(values)) for each 256 elements.
template <class Fit, class Layout, class Pack>
void encode_blocks(std::span<const float> in, std::span<const float> importance, std::byte* blocks, Fit fit,
                   const Layout& layout, Pack pack) {
  float x[kSuperBlock];
  float w[kSuperBlock];
  for (std::size_t b = 0; b < in.size() / kSuperBlock; ++b) {
    const std::size_t begin = b * kSuperBlock;
    prepare_values(in.subspan(begin, kSuperBlock),
                   importance.empty() ? importance : importance.subspan(begin, kSuperBlock), x, w);
    store_block(blocks, b, pack(fit(WeightedValues{.x = x, .w = w, .n = kSuperBlock}, layout)));
  }
}

void add_bits(std::uint8_t& byte, int bits, std::size_t shift) {
  byte = static_cast<std::uint8_t>(byte | (bits << shift));
}

// Two bits of every element, in the order that Q2_K, Q3_K and the upper bits of Q6_K share.
void pack_two_bits(std::uint8_t (&qs)[64], std::size_t e, int bits) {
  add_bits(qs[32 * (e / 128) + e % 32], bits, 2 * (e % 128 / 32));
}

void pack_nibble(std::uint8_t (&qs)[128], std::size_t e, int bits) {
  add_bits(qs[32 * (e / 64) + e % 32], bits, 4 * (e % 64 / 32));
}

void pack_plane_bit(std::uint8_t (&plane)[32], std::size_t e, int bit) {
  add_bits(plane[e % 32], bit, e / 32);
}

ScaleMins scale_mins(const MinsBlock& fit) {
  ScaleMins values;
  for (std::size_t s = 0; s < 8; ++s) {
    values.scale[s] = fit.scale[s];
    values.min[s] = fit.min[s];
  }
  return values;
}

BlockQ2_K pack_q2_k(const MinsBlock& fit) {
  BlockQ2_K block{};
  block.d = fit.d;
  block.dmin = fit.dmin;
  for (std::size_t s = 0; s < 16; ++s)
    block.scales[s] = static_cast<std::uint8_t>(fit.scale[s] | (fit.min[s] << 4));
  for (std::size_t e = 0; e < kSuperBlock; ++e)
    pack_two_bits(block.qs, e, fit.q[e]);
  return block;
}

BlockQ3_K pack_q3_k(const SignedBlock& fit) {
  BlockQ3_K block{};
  block.d = fit.d;
  Scales16 scales;
  for (std::size_t s = 0; s < 16; ++s)
    scales.scale[s] = static_cast<std::uint8_t>(fit.scale[s] + 32);
  pack_q3_scales(scales, block.scales);
  for (std::size_t e = 0; e < kSuperBlock; ++e) {
    const int q = fit.q[e] + 4;
    pack_two_bits(block.qs, e, q & 3);
    pack_plane_bit(block.hmask, e, q >> 2);
  }
  return block;
}

BlockQ4_K pack_q4_k(const MinsBlock& fit) {
  BlockQ4_K block{};
  block.d = fit.d;
  block.dmin = fit.dmin;
  pack_scale_mins(scale_mins(fit), block.scales);
  for (std::size_t e = 0; e < kSuperBlock; ++e)
    pack_nibble(block.qs, e, fit.q[e]);
  return block;
}

BlockQ5_K pack_q5_k(const MinsBlock& fit) {
  BlockQ5_K block{};
  block.d = fit.d;
  block.dmin = fit.dmin;
  pack_scale_mins(scale_mins(fit), block.scales);
  for (std::size_t e = 0; e < kSuperBlock; ++e) {
    pack_nibble(block.qs, e, fit.q[e] & 15);
    pack_plane_bit(block.qh, e, fit.q[e] >> 4);
  }
  return block;
}

BlockQ6_K pack_q6_k(const SignedBlock& fit) {
  BlockQ6_K block{};
  block.d = fit.d;
  for (std::size_t s = 0; s < 16; ++s)
    block.scales[s] = fit.scale[s];
  for (std::size_t e = 0; e < kSuperBlock; ++e) {
    const int q = fit.q[e] + 32;
    add_bits(block.ql[64 * (e / 128) + e % 64], q & 15, 4 * (e % 128 / 64));
    pack_two_bits(block.qh, e, q >> 4);
  }
  return block;
}

}  // namespace

void encode_q2_k(std::span<const float> in, std::span<const float> importance, std::byte* blocks) {
  encode_blocks(in, importance, blocks, fit_mins_block, kQ2Layout, pack_q2_k);
}

void encode_q3_k(std::span<const float> in, std::span<const float> importance, std::byte* blocks) {
  encode_blocks(in, importance, blocks, fit_signed_block, kQ3Layout, pack_q3_k);
}

void encode_q4_k(std::span<const float> in, std::span<const float> importance, std::byte* blocks) {
  encode_blocks(in, importance, blocks, fit_mins_block, kQ4Layout, pack_q4_k);
}

void encode_q5_k(std::span<const float> in, std::span<const float> importance, std::byte* blocks) {
  encode_blocks(in, importance, blocks, fit_mins_block, kQ5Layout, pack_q5_k);
}

void encode_q6_k(std::span<const float> in, std::span<const float> importance, std::byte* blocks) {
  encode_blocks(in, importance, blocks, fit_signed_block, kQ6Layout, pack_q6_k);
}

}  // namespace mlxr
