#include <algorithm>
#include <array>
#include <cmath>

#include "core/base/float16.h"
#include "core/quant/block_io.h"
#include "core/quant/iq4.h"
#include "core/quant/iq_grids.h"
#include "core/quant/scale_search.h"

namespace mlxr {
namespace {

constexpr std::size_t kSub = 32;
constexpr std::size_t kNumSubs = kIq4XsBlock / kSub;
constexpr float kSmallestInput = 0x1p-40F;  // blocks below it have a scale that a binary16 rounds to zero

// Every midpoint between neighbouring levels is a multiple of 1/2, so a table over half units finds the nearest level
// exactly: entry i is the code of values in [i / 2 - 128, i / 2 - 127.5).
constexpr auto kCodeOfHalfUnits = [] {
  std::array<std::uint8_t, 512> codes{};
  std::uint8_t code = 0;
  for (int i = 0; i < 512; ++i) {
    // The sum of two levels is twice their midpoint.
    while (code < 15 && i - 256 >= kIq4Values[code] + kIq4Values[code + 1U])
      ++code;
    codes[static_cast<std::size_t>(i)] = code;
  }
  return codes;
}();

std::uint8_t nearest_code(float value) {
  // In this order of arguments a NaN (zero over a scale too small to invert) becomes 0; std::clamp would keep it.
  const float half_units = std::min(std::max(0.0F, 2.0F * value + 256.0F), 511.0F);
  return kCodeOfHalfUnits[static_cast<std::size_t>(half_units)];
}

// Sums over 32 elements coded with some inverse scale; they give the best scale for those codes.
struct CodeSums {
  float qx = 0;  // weight * level * x
  float qq = 0;  // weight * level^2

  float scale() const { return qq > 0 ? qx / qq : 0; }
  // By how much that scale lowers the weighted squared error below that of all zeros.
  float gain() const { return qx * scale(); }
  // The same for another scale.
  float gain_at(float scale) const { return scale * (2 * qx - scale * qq); }
};

// x, weights: [32]
CodeSums sums_at(const float* x, const float* weights, float inverse_scale) {
  CodeSums sums;
  for (std::size_t j = 0; j < kSub; ++j) {
    const auto level = static_cast<float>(kIq4Values[nearest_code(x[j] * inverse_scale)]);
    sums.qx += weights[j] * level * x[j];
    sums.qq += weights[j] * level * level;
  }
  return sums;
}

// The scale of 32 elements, of either sign, with the greatest gain found: the largest magnitude is laid on nine places
// around either end of the levels, and the best fit is refitted until it stays. 0 for all zeros.
float search_scale(const float* x, const float* weights) {
  float extreme = 0;
  for (std::size_t j = 0; j < kSub; ++j) {
    if (std::fabs(x[j]) > std::fabs(extreme)) extreme = x[j];
  }
  if (extreme == 0) return 0;
  CodeSums best;
  for (const float end : {-127.0F, 113.0F}) {
    for (int place = -3; place <= 5; ++place) {
      const float factor = 1.0F + 0.07F * static_cast<float>(place);
      const CodeSums sums = sums_at(x, weights, end * factor / extreme);
      if (sums.gain() > best.gain()) best = sums;
    }
  }
  for (int pass = 0; pass < 4 && best.scale() != 0; ++pass) {
    const CodeSums sums = sums_at(x, weights, 1.0F / best.scale());
    if (!(sums.gain() > best.gain())) break;
    best = sums;
  }
  return best.scale();
}

void store_codes(const float* x, float scale, std::uint8_t* qs) {
  const float inverse = scale != 0 ? 1.0F / scale : 0.0F;
  for (std::size_t j = 0; j < kSub / 2; ++j) {
    qs[j] = static_cast<std::uint8_t>(nearest_code(x[j] * inverse) | (nearest_code(x[j + 16] * inverse) << 4));
  }
}

// A block as the search sees it: values relative to the largest magnitude, so that no sum overflows.
template <std::size_t kElements>
struct Input {
  float largest = 0;  // what x was divided by; 0: the block is encoded as zeros
  float x[kElements];
  float weights[kElements];

  // Block `b` of a row.
  Input(std::span<const float> row, std::span<const float> importance, std::size_t b) {
    const auto part = [b](std::span<const float> values) {
      return values.empty() ? values : values.subspan(b * kElements, kElements);
    };
    prepare_values(part(row), part(importance), x, weights);
    for (const float value : x)
      largest = std::max(largest, std::fabs(value));
    if (largest < kSmallestInput) {
      largest = 0;
      return;
    }
    for (float& value : x)
      value /= largest;
  }
};

// A super scale as it can be stored, and the sub-blocks' scales in units of it.
struct SuperFit {
  float gain = 0;
  std::uint16_t d_bits = 0;
  int scales[kNumSubs] = {};
  float refitted_d = 0;  // the least squares scale for the codes that this fit chose
};

// Rounds the super scale d to binary16 and chooses for each sub-block the best of the three whole scales around the
// wanted one. Weights of real models make d so small that the rounding matters.
SuperFit fit_super(const Input<kIq4XsBlock>& input, const float* wanted, float d) {
  SuperFit fit;
  fit.d_bits = f32_to_f16(d * input.largest);
  const float stored_d = f16_to_f32(fit.d_bits) / input.largest;
  if (stored_d == 0) return fit;
  CodeSums total;
  for (std::size_t k = 0; k < kNumSubs; ++k) {
    const auto middle = static_cast<int>(std::lround(std::clamp(wanted[k] / stored_d, -32.0F, 31.0F)));
    float best_gain = 0;
    CodeSums best;
    for (int s = std::max(middle - 1, -32); s <= std::min(middle + 1, 31); ++s) {
      if (s == 0) continue;
      const float scale = stored_d * static_cast<float>(s);
      const CodeSums sums = sums_at(input.x + kSub * k, input.weights + kSub * k, 1.0F / scale);
      if (sums.gain_at(scale) > best_gain) {
        best_gain = sums.gain_at(scale);
        best = sums;
        fit.scales[k] = s;
      }
    }
    fit.gain += best_gain;
    const auto s = static_cast<float>(fit.scales[k]);
    total.qx += s * best.qx;
    total.qq += s * s * best.qq;
  }
  fit.refitted_d = total.scale();
  return fit;
}

// The largest wanted scale is laid on three places near the ends of the six bits, each refitted twice.
SuperFit search_super(const Input<kIq4XsBlock>& input) {
  float wanted[kNumSubs];
  float extreme = 0;
  for (std::size_t k = 0; k < kNumSubs; ++k) {
    wanted[k] = search_scale(input.x + kSub * k, input.weights + kSub * k);
    if (std::fabs(wanted[k]) > std::fabs(extreme)) extreme = wanted[k];
  }
  SuperFit best;
  for (const float place : {-32.0F, 31.0F, -30.5F}) {
    float d = extreme / place;
    for (int pass = 0; pass < 3 && d != 0; ++pass) {
      const SuperFit fit = fit_super(input, wanted, d);
      if (fit.gain > best.gain) best = fit;
      d = fit.refitted_d;
    }
  }
  return best;
}

}  // namespace

void encode_iq4_nl(std::span<const float> in, std::span<const float> importance, std::byte* blocks) {
  for (std::size_t b = 0; b < in.size() / kIq4NlBlock; ++b) {
    const Input<kIq4NlBlock> input(in, importance, b);
    BlockIQ4_NL block{};
    if (input.largest > 0) {
      block.d = f32_to_f16(search_scale(input.x, input.weights) * input.largest);
      store_codes(input.x, f16_to_f32(block.d) / input.largest, block.qs);
    }
    store_block(blocks, b, block);
  }
}

void encode_iq4_xs(std::span<const float> in, std::span<const float> importance, std::byte* blocks) {
  for (std::size_t b = 0; b < in.size() / kIq4XsBlock; ++b) {
    const Input<kIq4XsBlock> input(in, importance, b);
    BlockIQ4_XS block{};
    if (input.largest > 0) {
      const SuperFit fit = search_super(input);
      block.d = fit.d_bits;
      const float d = f16_to_f32(block.d) / input.largest;
      for (std::size_t k = 0; k < kNumSubs; ++k) {
        const auto s = static_cast<unsigned>(fit.scales[k] + 32);
        block.scales_l[k / 2] = static_cast<std::uint8_t>(block.scales_l[k / 2] | ((s & 15U) << (4 * (k % 2))));
        block.scales_h = static_cast<std::uint16_t>(block.scales_h | ((s >> 4) << (2 * k)));
        store_codes(input.x + kSub * k, d * static_cast<float>(fit.scales[k]), block.qs + 16 * k);
      }
    }
    store_block(blocks, b, block);
  }
}

}  // namespace mlxr
