#include "core/quant/fp4.h"

#include <array>
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

namespace mlxr {
namespace {

std::array<float, kMxfp4Block> round_trip(const std::array<float, kMxfp4Block>& x, BlockMXFP4& block,
                                          std::span<const float> importance = {}) {
  encode_mxfp4(x, importance, reinterpret_cast<std::byte*>(&block));
  std::array<float, kMxfp4Block> out{};
  decode_mxfp4(reinterpret_cast<const std::byte*>(&block), out);
  return out;
}

TEST(Fp4, MxScalesArePowersOfTwo) {
  for (int e = 0; e < 256; ++e)
    EXPECT_EQ(mxfp4_half_scale(static_cast<std::uint8_t>(e)), std::ldexp(1.0F, e - 128)) << e;
}

TEST(Fp4, NvScalesAreE4m3) {
  const struct {
    int bits;
    float value;  // twice the half scale
  } cases[] = {{0x00, 0},    {0x01, 0x1p-9F}, {0x07, 7 * 0x1p-9F}, {0x08, 0x1p-6F}, {0x38, 1},
               {0x3c, 1.5F}, {0x7e, 448},     {0x7f, 0},           {0xb8, 1}};
  for (const auto& c : cases)
    EXPECT_EQ(2 * nvfp4_half_scale(static_cast<std::uint8_t>(c.bits)), c.value) << c.bits;
}

TEST(Fp4, NvGroupsHaveTheirScalesAndHalves) {
  BlockNVFP4 block{};
  for (std::size_t s = 0; s < 4; ++s)
    block.d[s] = static_cast<std::uint8_t>(0x38 + 8 * s);  // 1, 2, 4, 8
  block.qs[8 * 2 + 3] = 0xf2;                              // group 2: element 3 is 1, element 11 is -6
  std::array<float, kNvfp4Block> x{};
  decode_nvfp4(reinterpret_cast<const std::byte*>(&block), x);
  for (std::size_t i = 0; i < x.size(); ++i)
    EXPECT_EQ(x[i], i == 35 ? 4.0F : i == 43 ? -24.0F : 0.0F) << i;
}

TEST(Fp4, ValuesOfTheFormatAreReproduced) {
  // Down to subnormal scales and up to what is not clamped.
  for (const int exponent : {-128, -127, -126, -1, 0, 1, 12}) {
    std::array<float, kMxfp4Block> x{};
    for (std::size_t i = 0; i < x.size(); ++i)
      x[i] = std::ldexp(static_cast<float>(kFp4DoubledValues[i % 16]), exponent);
    BlockMXFP4 block{};
    EXPECT_EQ(round_trip(x, block), x) << exponent;
    EXPECT_EQ(block.e, exponent + 128);
  }
}

TEST(Fp4, RoundsToNearestAndTiesToEven) {
  std::array<float, kMxfp4Block> x{};
  const float values[] = {6, 0.25F, 0.26F, 0.75F, 1.25F, 1.75F, 2.5F, 3.5F, 5, -5.01F};
  const float expected[] = {6, 0, 0.5F, 1, 1, 2, 2, 4, 4, -6};
  for (std::size_t i = 0; i < 10; ++i)
    x[i] = values[i];
  for (std::size_t i = 10; i < 32; ++i)
    x[i] = 6;  // holds the exponent
  BlockMXFP4 block{};
  const auto y = round_trip(x, block);
  for (std::size_t i = 0; i < 10; ++i)
    EXPECT_EQ(y[i], expected[i]) << values[i];
}

// The largest magnitude alone decides: 7.9 is clamped to 6 rather than the block coarsened, 8 starts the next exponent.
TEST(Fp4, ExponentFollowsTheLargestMagnitude) {
  const struct {
    float largest;
    int stored;
    float decoded;
  } cases[] = {{4, 127, 4}, {6, 127, 6}, {7.9F, 127, 6}, {8, 128, 8}, {3.99F, 126, 3}};
  for (const auto& c : cases) {
    std::array<float, kMxfp4Block> x{};
    x[0] = c.largest;
    BlockMXFP4 block{};
    EXPECT_EQ(round_trip(x, block)[0], c.decoded) << c.largest;
    EXPECT_EQ(block.e, c.stored) << c.largest;
  }
}

}  // namespace
}  // namespace mlxr
