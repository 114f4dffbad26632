#include <algorithm>
#include <cstring>

#include "core/base/float16.h"
#include "core/quant/block_io.h"
#include "core/quant/legacy.h"
#include "core/quant/scale_search.h"

namespace mlxr {
namespace {

// One block of 32 ready to be packed: `scale` and `offset` are binary16 bits and `q` the levels for exactly these.
struct LegacyFit {
  std::uint16_t scale = 0;
  std::uint16_t offset = 0;
  std::int8_t q[kLegacyBlock] = {};
};

// The least squares of values near the end of the range may reach past it.
float rounded_to_f16(float value) {
  return f16_to_f32(f32_to_f16(std::clamp(value, -65504.0F, 65504.0F)));
}

LegacyFit fit_on_grid(const WeightedValues& values, LevelRange range, Grid grid) {
  const Grid stored{.scale = rounded_to_f16(grid.scale), .offset = rounded_to_f16(grid.offset)};
  LegacyFit fit{.scale = f32_to_f16(stored.scale), .offset = f32_to_f16(stored.offset)};
  assign_levels(values, range, stored, fit.q);
  return fit;
}

// Calls fit_block(values) for each 32 elements and stores what pack() makes of it.
template <class FitBlock, class Pack>
void encode_blocks(std::span<const float> in, std::span<const float> importance, std::byte* blocks, FitBlock fit_block,
                   Pack pack) {
  float x[kLegacyBlock];
  float w[kLegacyBlock];
  for (std::size_t b = 0; b < in.size() / kLegacyBlock; ++b) {
    const std::size_t begin = b * kLegacyBlock;
    prepare_values(in.subspan(begin, kLegacyBlock),
                   importance.empty() ? importance : importance.subspan(begin, kLegacyBlock), x, w);
    store_block(blocks, b, pack(fit_block(WeightedValues{.x = x, .w = w, .n = kLegacyBlock})));
  }
}

// Levels lowest..highest around zero, without an offset.
template <int kLowest, int kHighest>
LegacyFit fit_symmetric(const WeightedValues& values) {
  constexpr LevelRange kRange{.lowest = kLowest, .highest = kHighest};
  return fit_on_grid(values, kRange, search_scale(values, kRange));
}

template <int kHighest>
LegacyFit fit_with_offset(const WeightedValues& values) {
  return fit_on_grid(values, {.lowest = 0, .highest = kHighest},
                     search_scale_offset(values, kHighest, OffsetRule::kAny));
}

// Low four bits of q + bias into nibbles.
void pack_nibbles(const LegacyFit& fit, int bias, std::uint8_t (&qs)[16]) {
  for (std::size_t j = 0; j < 16; ++j) {
    qs[j] = static_cast<std::uint8_t>(((fit.q[j] + bias) & 15) | (((fit.q[j + 16] + bias) & 15) << 4));
  }
}

void pack_fifth_bits(const LegacyFit& fit, int bias, std::uint8_t (&qh)[4]) {
  std::memset(qh, 0, sizeof(qh));
  for (std::size_t i = 0; i < kLegacyBlock; ++i) {
    qh[i / 8] = static_cast<std::uint8_t>(qh[i / 8] | (((fit.q[i] + bias) >> 4) << (i % 8)));
  }
}

}  // namespace

void encode_q4_0(std::span<const float> in, std::span<const float> importance, std::byte* blocks) {
  encode_blocks(in, importance, blocks, fit_symmetric<-8, 7>, [](const LegacyFit& fit) {
    BlockQ4_0 block{.d = fit.scale, .qs = {}};
    pack_nibbles(fit, 8, block.qs);
    return block;
  });
}

void encode_q4_1(std::span<const float> in, std::span<const float> importance, std::byte* blocks) {
  encode_blocks(in, importance, blocks, fit_with_offset<15>, [](const LegacyFit& fit) {
    BlockQ4_1 block{.d = fit.scale, .m = fit.offset, .qs = {}};
    pack_nibbles(fit, 0, block.qs);
    return block;
  });
}

void encode_q5_0(std::span<const float> in, std::span<const float> importance, std::byte* blocks) {
  encode_blocks(in, importance, blocks, fit_symmetric<-16, 15>, [](const LegacyFit& fit) {
    BlockQ5_0 block{.d = fit.scale, .qh = {}, .qs = {}};
    pack_nibbles(fit, 16, block.qs);
    pack_fifth_bits(fit, 16, block.qh);
    return block;
  });
}

void encode_q5_1(std::span<const float> in, std::span<const float> importance, std::byte* blocks) {
  encode_blocks(in, importance, blocks, fit_with_offset<31>, [](const LegacyFit& fit) {
    BlockQ5_1 block{.d = fit.scale, .m = fit.offset, .qh = {}, .qs = {}};
    pack_nibbles(fit, 0, block.qs);
    pack_fifth_bits(fit, 0, block.qh);
    return block;
  });
}

void encode_q8_0(std::span<const float> in, std::span<const float> importance, std::byte* blocks) {
  // Symmetric levels: kernels that take the sign apart rely on no level being -128.
  encode_blocks(in, importance, blocks, fit_symmetric<-127, 127>, [](const LegacyFit& fit) {
    BlockQ8_0 block{.d = fit.scale, .qs = {}};
    std::memcpy(block.qs, fit.q, sizeof(block.qs));
    return block;
  });
}

}  // namespace mlxr
