// What every row of quant.def that encodes must keep to; a new type is tested by its row alone.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/quant/quant.h"

namespace mlxr {
namespace {

constexpr std::size_t kRow = 1024;  // whole blocks of every type
constexpr std::size_t kRows = 16;
constexpr float kDeviation = 0.03F;  // of a usual weight: binary16 scales below come out subnormal, as in real models

class Encode : public testing::TestWithParam<QuantType> {
 protected:
  std::vector<std::byte> encoded(std::span<const float> in, std::span<const float> importance = {}) const {
    std::vector<std::byte> bytes(*quant_row_bytes(GetParam(), in.size()));
    encode_row(GetParam(), in, importance, bytes);
    return bytes;
  }
  std::vector<float> decoded(std::span<const std::byte> bytes, std::size_t n) const {
    std::vector<float> out(n);
    decode_row(GetParam(), bytes, out);
    return out;
  }
  std::vector<float> round_trip(std::span<const float> in, std::span<const float> importance = {}) const {
    return decoded(encoded(in, importance), in.size());
  }
  double bits() const {
    const QuantInfo& info = quant_info(GetParam());
    return 8.0 * static_cast<double>(info.block_bytes) / static_cast<double>(info.block_elements);
  }
};

// Types with blocks: plain types round each element and keep what they are given (plain_test).
class EncodeBlocks : public Encode {};

std::vector<float> normal_values(std::size_t n, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, kDeviation);
  std::vector<float> values(n);
  for (float& value : values)
    value = normal(random);
  return values;
}

double rms(std::span<const float> a, std::span<const float> b, std::span<const float> weights = {}) {
  double sum = 0;
  double total = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double w = weights.empty() ? 1.0 : weights[i];
    sum += w * (static_cast<double>(a[i]) - b[i]) * (static_cast<double>(a[i]) - b[i]);
    total += w;
  }
  return std::sqrt(sum / total);
}

// Normal values cannot be stored in b bits each with an error below 2^-b deviations (the rate-distortion bound).
// Uniform levels cost a quarter of a bit and what the scales take is stored in b too: together they stay within 1.33
// bits.
TEST_P(EncodeBlocks, ErrorOfNormalValuesIsNearTheBound) {
  const std::vector<float> in = normal_values(kRows * kRow, 1);
  const double error = rms(in, round_trip(in)) / kDeviation;
  EXPECT_LT(error, 2.5 * std::exp2(-bits()));
  EXPECT_GT(error, 0.9 * std::exp2(-bits())) << "impossible: is the size of a block wrong?";
}

TEST_P(EncodeBlocks, ImportanceMovesTheErrorAway) {
  if (GetParam() == QuantType::kMXFP4) GTEST_SKIP() << "its specification fixes the scale";
  const std::vector<float> in = normal_values(kRows * kRow, 2);
  std::vector<float> importance(in.size());
  std::mt19937 random(3);
  std::exponential_distribution<float> exponential(1);
  for (float& value : importance)
    value = std::pow(exponential(random), 2.0F);
  EXPECT_LT(rms(in, round_trip(in, importance), importance), rms(in, round_trip(in), importance));
}

TEST_P(Encode, ScaleOfImportanceDoesNotMatter) {
  const std::vector<float> in = normal_values(kRow, 4);
  const std::vector<float> importance(kRow, 0x1p40F);
  EXPECT_EQ(encoded(in, importance), encoded(in, std::vector<float>(kRow, 0x1p-40F)));
  EXPECT_EQ(encoded(in, importance), encoded(in));
}

// Decoded values lie on a grid that the type can hold, so a second pass may lose only what the last bits of a scale
// cost.
TEST_P(Encode, SecondPassKeepsTheValues) {
  const std::vector<float> in = normal_values(kRows * kRow, 5);
  const std::vector<float> once = round_trip(in);
  EXPECT_LE(rms(once, round_trip(once)), 0.25 * rms(in, once));
}

TEST_P(Encode, RowsAreIndependent) {
  const std::vector<float> in = normal_values(2 * kRow, 6);
  const std::vector<std::byte> both = encoded(in);
  const std::vector<std::byte> second = encoded(std::span(in).subspan(kRow));
  EXPECT_TRUE(std::equal(second.begin(), second.end(), both.begin() + static_cast<std::ptrdiff_t>(second.size())));
}

TEST_P(Encode, ZerosStayZeros) {
  const std::vector<float> zeros(kRow, 0.0F);
  EXPECT_EQ(round_trip(zeros), zeros);
  EXPECT_EQ(round_trip(zeros, normal_values(kRow, 7)), zeros);
}

TEST_P(Encode, SignAndSizeSurviveInEveryBlock) {
  for (const float value : {0.5F, -0.5F, 0x1p-6F, -300.0F}) {
    const std::vector<float> in(kRow, value);
    // A constant is its own largest value: at most half a step of the coarsest grid, 2 bits on one side of zero, is
    // lost.
    for (const float x : round_trip(in))
      EXPECT_NEAR(x / value, 1.0F, 0.25F);
  }
}

TEST_P(EncodeBlocks, HostileValuesGiveFiniteBlocks) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> bad = {nan, kInf, -kInf, 3e38F, -3e38F, 1e-40F, -1e-45F, 65504.0F, 65520.0F, 1e-8F, 0.0F};
  for (std::size_t i = 0; i < bad.size(); ++i) {
    for (const bool everywhere : {true, false}) {
      std::vector<float> in = normal_values(kRow, 8);
      for (std::size_t e = 0; e < kRow; e += everywhere ? 1 : 67)
        in[e] = bad[i];
      for (const float x : round_trip(in))
        EXPECT_TRUE(std::isfinite(x)) << bad[i];
      for (const float weight : {nan, kInf, -1.0F, 0.0F, 3e38F, 1e-45F}) {
        std::vector<float> importance(kRow, 1.0F);
        for (std::size_t e = 0; e < kRow; e += everywhere ? 1 : 3)
          importance[e] = weight;
        for (const float x : round_trip(in, importance))
          EXPECT_TRUE(std::isfinite(x)) << bad[i] << " at " << weight;
      }
    }
  }
}

std::vector<QuantType> encoding_types(bool blocks_only) {
  std::vector<QuantType> types;
  for (const QuantInfo& info : all_quant_types()) {
    if (info.encode != nullptr && (!blocks_only || is_quantized(info.type))) types.push_back(info.type);
  }
  return types;
}

std::string name_of(const testing::TestParamInfo<QuantType>& type) {
  return quant_info(type.param).name;
}

INSTANTIATE_TEST_SUITE_P(Types, Encode, testing::ValuesIn(encoding_types(false)), name_of);
INSTANTIATE_TEST_SUITE_P(Types, EncodeBlocks, testing::ValuesIn(encoding_types(true)), name_of);

}  // namespace
}  // namespace mlxr
