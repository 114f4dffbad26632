#include "core/quant/ternary.h"

#include <array>

#include <gtest/gtest.h>

namespace mlxr {
namespace {

constexpr std::uint16_t kHalf = 0x3800;

TEST(Ternary, Q1_0IsOneSignABit) {
  BlockQ1_0 block{};
  block.d = kHalf;
  block.qs[0] = 0b00000101;
  block.qs[15] = 0x80;
  std::array<float, 128> x{};
  decode_q1_0(reinterpret_cast<const std::byte*>(&block), x);
  for (std::size_t j = 0; j < x.size(); ++j)
    EXPECT_EQ(x[j], j == 0 || j == 2 || j == 127 ? 0.5F : -0.5F) << j;
}

TEST(Ternary, Q2_0IsTwoBitsInOrder) {
  BlockQ2_0 block{};
  block.d = kHalf;
  block.qs[1] = 0b11100100;  // 0, 1, 2, 3
  std::array<float, 64> x{};
  decode_q2_0(reinterpret_cast<const std::byte*>(&block), x);
  EXPECT_EQ(x[3], -0.5F);
  EXPECT_EQ(x[4], -0.5F);
  EXPECT_EQ(x[5], 0.0F);
  EXPECT_EQ(x[6], 0.5F);
  EXPECT_EQ(x[7], 1.0F);
  EXPECT_EQ(x[63], -0.5F);
}

TEST(Ternary, Tq1_0DigitsAreFractionsOfAByte) {
  BlockTQ1_0 block{};
  block.d = kHalf;
  // The byte nearest above digits / 243 of 256, which is how five digits are stored: 2 1 0 2 2 = 197.
  block.qs[7] = (197 * 256 + 242) / 243;
  block.qh[1] = (2 * 27 * 3 * 256 + 242) / 243;  // 2 0 0 0
  std::array<float, 256> x{};
  decode_tq1_0(reinterpret_cast<const std::byte*>(&block), x);
  const float digits[] = {0.5F, 0, -0.5F, 0.5F, 0.5F};
  for (std::size_t n = 0; n < 5; ++n)
    EXPECT_EQ(x[32 * n + 7], digits[n]) << n;
  EXPECT_EQ(x[0], -0.5F);
  EXPECT_EQ(x[241], 0.5F);
  EXPECT_EQ(x[245], -0.5F);
}

TEST(Ternary, Tq2_0HasFourPlanesAHalf) {
  BlockTQ2_0 block{};
  block.d = kHalf;
  block.qs[40] = 0b10010010;  // planes 2, 0, 1, 2 of column 8 in the second half
  std::array<float, 256> x{};
  decode_tq2_0(reinterpret_cast<const std::byte*>(&block), x);
  EXPECT_EQ(x[128 + 8], 0.5F);
  EXPECT_EQ(x[160 + 8], -0.5F);
  EXPECT_EQ(x[192 + 8], 0.0F);
  EXPECT_EQ(x[224 + 8], 0.5F);
}

}  // namespace
}  // namespace mlxr
