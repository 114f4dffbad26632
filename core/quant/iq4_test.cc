#include "core/quant/iq4.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "core/quant/iq_grids.h"
#include "core/quant/quant.h"

namespace mlxr {
namespace {

std::vector<float> round_trip(QuantType type, const std::vector<float>& x, const std::vector<float>& importance = {}) {
  std::vector<std::byte> bytes(*quant_row_bytes(type, x.size()));
  encode_row(type, x, importance, bytes);
  std::vector<float> decoded(x.size());
  decode_row(type, bytes, decoded);
  return decoded;
}

double weighted_error(const std::vector<float>& x, const std::vector<float>& y,
                      const std::vector<float>& weights = {}) {
  double error = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double difference = static_cast<double>(x[i]) - static_cast<double>(y[i]);
    error += difference * difference * static_cast<double>(weights.empty() ? 1.0F : weights[i]);
  }
  return error;
}

std::vector<float> normal_values(std::size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<float> x(n);
  // Sums of uniform numbers: std::normal_distribution differs between standard libraries.
  for (float& value : x) {
    double sum = 0;
    for (int i = 0; i < 12; ++i)
      sum += static_cast<double>(random()) / 4294967296.0;
    value = static_cast<float>((sum - 6) * 0.02);
  }
  return x;
}

std::vector<float> lognormal_weights(std::size_t n, unsigned seed) {
  std::vector<float> weights = normal_values(n, seed);
  for (float& weight : weights)
    weight = std::exp(weight * 50);
  return weights;
}

// The least weighted error that any of many scales of either sign reaches on 32 elements.
double exhaustive_error(const float* x, const float* weights) {
  double best = std::numeric_limits<double>::infinity();
  const float largest = *std::max_element(x, x + 32, [](float a, float b) { return std::fabs(a) < std::fabs(b); });
  for (int i = -4000; i <= 4000; ++i) {
    const float scale = std::fabs(largest) / 60 * static_cast<float>(i) / 4000;
    double error = 0;
    for (std::size_t j = 0; j < 32; ++j) {
      float nearest = std::numeric_limits<float>::infinity();
      for (const std::int8_t level : kIq4Values) {
        nearest = std::min(nearest, std::fabs(x[j] - scale * static_cast<float>(level)));
      }
      error += static_cast<double>(nearest * nearest * weights[j]);
    }
    best = std::min(best, error);
  }
  return best;
}

TEST(Iq4, ScaleBitsOfIq4Xs) {
  BlockIQ4_XS block{};
  block.d = 0x3c00;
  // Sub-block 3: scale 0b110101 = 53; all other sub-blocks: 0.
  block.scales_l[1] = 0x50;
  block.scales_h = 3U << 6;
  block.qs[3 * 16 + 2] = 0xf1;
  std::array<float, kIq4XsBlock> x{};
  decode_iq4_xs(reinterpret_cast<const std::byte*>(&block), x);
  EXPECT_EQ(x[0], -32.0F * -127);
  EXPECT_EQ(x[3 * 32], 21.0F * -127);
  EXPECT_EQ(x[3 * 32 + 2], 21.0F * -104);
  EXPECT_EQ(x[3 * 32 + 18], 21.0F * 113);
}

TEST(Iq4, EncodingComesNearTheBestOfAllScales) {
  const auto x = normal_values(64 * 32, 1);
  const auto weights = lognormal_weights(x.size(), 2);
  double best = 0;
  for (std::size_t b = 0; b < x.size(); b += 32)
    best += exhaustive_error(&x[b], &weights[b]);
  // The search visits 18 scales, not 8000: 2 % on average is what is left to find, rounding the scale to 11 bits
  // included.
  EXPECT_LT(weighted_error(x, round_trip(QuantType::kIQ4_NL, x, weights), weights), 1.02 * best);
  // Six bits for a scale of its own move it by up to 1/64 of the largest: (1/64)^2 / 3 of the squared values at the
  // worst, where the least squared error of 16 levels is about 0.0045 of them.
  EXPECT_LT(weighted_error(x, round_trip(QuantType::kIQ4_XS, x, weights), weights), 1.04 * best);
}

TEST(Iq4, LevelsAreReproduced) {
  std::vector<float> x(256);
  for (const float scale : {0.25F, -0.25F}) {  // the levels are not symmetric: one sign needs a negative scale
    for (std::size_t i = 0; i < x.size(); ++i)
      x[i] = scale * static_cast<float>(kIq4Values[(i * 7 + i / 32) % 16]);
    EXPECT_EQ(round_trip(QuantType::kIQ4_NL, x), x);
    // The super scale is 1/4 over a whole number, rounded to the 11 bits of a binary16.
    const auto y = round_trip(QuantType::kIQ4_XS, x);
    for (std::size_t i = 0; i < x.size(); ++i)
      EXPECT_NEAR(y[i], x[i], std::fabs(x[i]) * 0x1p-11F);
  }
}

TEST(Iq4, ImportanceMovesTheError) {
  const auto x = normal_values(4096, 3);
  const auto weights = lognormal_weights(x.size(), 4);
  for (const QuantType type : {QuantType::kIQ4_NL, QuantType::kIQ4_XS}) {
    const auto plain = round_trip(type, x);
    const auto weighted = round_trip(type, x, weights);
    EXPECT_LT(weighted_error(x, weighted, weights), weighted_error(x, plain, weights)) << quant_info(type).name;
    EXPECT_LT(weighted_error(x, plain), weighted_error(x, weighted)) << quant_info(type).name;
  }
}

TEST(Iq4, ScaleOfTheInputDoesNotMatter) {
  auto x = normal_values(512, 5);
  for (float& value : x)
    value *= 64;  // binary16 scales stay normal
  for (const QuantType type : {QuantType::kIQ4_NL, QuantType::kIQ4_XS, QuantType::kMXFP4}) {
    const auto expected = round_trip(type, x);
    for (const float factor : {0.25F, 4.0F, 1024.0F}) {
      std::vector<float> scaled = x;
      for (float& value : scaled)
        value *= factor;
      const auto decoded = round_trip(type, scaled);
      for (std::size_t i = 0; i < x.size(); ++i)
        EXPECT_EQ(decoded[i], expected[i] * factor);
    }
  }
}

// Whatever comes in, what is written decodes to numbers, and what was a number of ordinary size stays near.
TEST(Iq4, HostileValues) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInf = std::numeric_limits<float>::infinity();
  constexpr float kMax = std::numeric_limits<float>::max();
  constexpr float kTiny = std::numeric_limits<float>::denorm_min();
  const std::vector<float> odd = {kNan, kInf, -kInf, kMax, -kMax, kTiny, -kTiny, 0.0F, -0.0F, 1.0F, 1e-30F, 65504.0F};
  std::vector<std::vector<float>> rows;
  for (const float value : odd)
    rows.emplace_back(256, value);
  for (const float value : odd) {
    rows.push_back(normal_values(256, 6));
    rows.back()[100] = value;
  }
  std::vector<std::vector<float>> weights = {{}};
  for (const float value : odd) {
    weights.emplace_back(256, value);
    weights.push_back(lognormal_weights(256, 7));
    weights.back()[17] = value;
  }
  for (const QuantType type : {QuantType::kIQ4_NL, QuantType::kIQ4_XS, QuantType::kMXFP4}) {
    for (const auto& row : rows) {
      for (const auto& importance : weights) {
        for (const float value : round_trip(type, row, importance))
          ASSERT_TRUE(std::isfinite(value));
      }
    }
    EXPECT_EQ(round_trip(type, std::vector<float>(256, 0.0F)), std::vector<float>(256, 0.0F));
    EXPECT_EQ(round_trip(type, std::vector<float>(256, kNan)), std::vector<float>(256, 0.0F));
    for (const float value : round_trip(type, std::vector<float>(256, 1.0F)))
      EXPECT_NEAR(value, 1.0F, 0.01F);
  }
}

}  // namespace
}  // namespace mlxr
