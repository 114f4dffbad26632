#include "core/quant/iq.h"

#include <array>
#include <bit>
#include <set>

#include <gtest/gtest.h>

#include "core/quant/iq_grids.h"

namespace mlxr {
namespace {

constexpr std::uint16_t kOne = 0x3c00;

template <class Block>
std::array<float, kIqBlock> decoded(void (*decode)(const std::byte*, std::span<float>), const Block& block) {
  std::array<float, kIqBlock> out{};
  decode(reinterpret_cast<const std::byte*>(&block), out);
  return out;
}

template <class Grid>
void expect_rows(const Grid& grid, const std::set<int>& values) {
  std::set<std::uint64_t> rows;
  for (const auto row : grid) {
    rows.insert(row);
    for (unsigned j = 0; j < sizeof row; ++j) {
      EXPECT_TRUE(values.contains(static_cast<std::int8_t>((row >> (8 * j)) & 0xff)));
    }
  }
  EXPECT_EQ(rows.size(), grid.size()) << "a row occurs twice";
}

TEST(IqGrids, RowsAreDistinctAndOfTheFormatsValues) {
  expect_rows(kIq2XxsGrid, {8, 25, 43});
  expect_rows(kIq2XsGrid, {8, 25, 43});
  expect_rows(kIq2SGrid, {8, 25, 43});
  expect_rows(kIq3XxsGrid, {4, 12, 20, 28, 36, 44, 52, 62});
  expect_rows(kIq3SGrid, {1, 3, 5, 7, 9, 11, 13, 15});
  expect_rows(kIq1Grid, {-1, 0, 1});
}

TEST(IqGrids, SignsHaveEvenParity) {
  for (std::uint32_t index = 0; index < 128; ++index) {
    EXPECT_EQ(iq_signs(index) & 127U, index);
    EXPECT_EQ(std::popcount(static_cast<unsigned>(iq_signs(index))) % 2, 0);
  }
}

TEST(Iq, ScalesAndSignsOfIq2Xxs) {
  BlockIQ2_XXS block{};
  block.d = kOne;
  // Row 0 is eight times 8. Chunk 1: scale 15, group 2 has sign index 1: elements 0 and, for parity, 7.
  block.qs[4 + 3] = 15U << 12;
  block.qs[4 + 2] = 1U << 14;
  const auto x = decoded(decode_iq2_xxs, block);
  EXPECT_EQ(x[0], 0.5F * 0.25F * 8);
  EXPECT_EQ(x[32], 15.5F * 0.25F * 8);
  EXPECT_EQ(x[32 + 16], -31);
  EXPECT_EQ(x[32 + 17], 31);
  EXPECT_EQ(x[32 + 23], -31);
}

TEST(Iq, ScaleBitsOfIq1M) {
  BlockIQ1_M block{};
  // d = 0x3c00, lowest four bits in the first scale; sub-scale 5 for the pair of groups 18 and 19.
  block.scales[2] = 0xc000 | (5U << 3);
  block.scales[3] = 0x3000;
  block.qh[9] = 0x80;  // group 19 has a negative delta
  const auto x = decoded(decode_iq1_m, block);
  EXPECT_EQ(x[0], -1 + 0.125F);
  EXPECT_EQ(x[8 * 18], 11 * (-1 + 0.125F));
  EXPECT_EQ(x[8 * 19], 11 * (-1 - 0.125F));
}

TEST(Iq, NoBytesAreOutOfRange) {
  // All bits set: the highest index of every codebook, scales that are NaN.
  std::array<std::byte, 128> bytes{};
  bytes.fill(std::byte{0xff});
  std::array<float, kIqBlock> out{};
  for (const auto decode :
       {decode_iq2_xxs, decode_iq2_xs, decode_iq2_s, decode_iq3_xxs, decode_iq3_s, decode_iq1_s, decode_iq1_m}) {
    decode(bytes.data(), out);
    EXPECT_NE(out[0], out[0]);
  }
}

}  // namespace
}  // namespace mlxr
