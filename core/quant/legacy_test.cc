#include "core/quant/legacy.h"

#include <array>
#include <cstdint>
#include <cstring>

#include <gtest/gtest.h>

namespace mlxr {
namespace {

constexpr std::uint16_t kHalf = 0x3800;      // 0.5
constexpr std::uint16_t kMinusTwo = 0xc000;  // -2

template <class Block>
std::array<float, 32> decoded(void (*decode)(const std::byte*, std::span<float>), const Block& block) {
  std::array<float, 32> out{};
  decode(reinterpret_cast<const std::byte*>(&block), out);
  return out;
}

// Byte j holds j in its low half and 15 - j in its high half.
void fill_nibbles(std::uint8_t (&qs)[16]) {
  for (std::size_t j = 0; j < 16; ++j)
    qs[j] = static_cast<std::uint8_t>(j | ((15 - j) << 4));
}

float low_bits(std::size_t i) {
  return static_cast<float>(i < 16 ? i : 31 - i);
}

TEST(Legacy, Q4_0) {
  BlockQ4_0 block{.d = kHalf, .qs = {}};
  fill_nibbles(block.qs);
  const auto x = decoded(decode_q4_0, block);
  for (std::size_t i = 0; i < 32; ++i)
    EXPECT_EQ(x[i], 0.5F * (low_bits(i) - 8)) << i;
}

TEST(Legacy, Q4_1) {
  BlockQ4_1 block{.d = kHalf, .m = kMinusTwo, .qs = {}};
  fill_nibbles(block.qs);
  const auto x = decoded(decode_q4_1, block);
  for (std::size_t i = 0; i < 32; ++i)
    EXPECT_EQ(x[i], 0.5F * low_bits(i) - 2) << i;
}

// Elements 0, 9, 16 and 31 have their fifth bit set.
constexpr std::uint8_t kFifthBits[4] = {0x01, 0x02, 0x01, 0x80};
float fifth_bit(std::size_t i) {
  return i == 0 || i == 9 || i == 16 || i == 31 ? 16.0F : 0.0F;
}

TEST(Legacy, Q5_0) {
  BlockQ5_0 block{.d = kHalf, .qh = {}, .qs = {}};
  fill_nibbles(block.qs);
  std::memcpy(block.qh, kFifthBits, 4);
  const auto x = decoded(decode_q5_0, block);
  for (std::size_t i = 0; i < 32; ++i)
    EXPECT_EQ(x[i], 0.5F * (low_bits(i) + fifth_bit(i) - 16)) << i;
}

TEST(Legacy, Q5_1) {
  BlockQ5_1 block{.d = kHalf, .m = kMinusTwo, .qh = {}, .qs = {}};
  fill_nibbles(block.qs);
  std::memcpy(block.qh, kFifthBits, 4);
  const auto x = decoded(decode_q5_1, block);
  for (std::size_t i = 0; i < 32; ++i)
    EXPECT_EQ(x[i], 0.5F * (low_bits(i) + fifth_bit(i)) - 2) << i;
}

TEST(Legacy, Q8) {
  BlockQ8_0 block{.d = kHalf, .qs = {}};
  BlockQ8_1 with_sum{.d = kHalf, .s = kMinusTwo, .qs = {}};
  for (std::size_t i = 0; i < 32; ++i)
    block.qs[i] = with_sum.qs[i] = static_cast<std::int8_t>(8 * i - 128);
  const auto x = decoded(decode_q8_0, block);
  for (std::size_t i = 0; i < 32; ++i)
    EXPECT_EQ(x[i], 4.0F * static_cast<float>(i) - 64) << i;
  EXPECT_EQ(decoded(decode_q8_1, with_sum), x);
}

}  // namespace
}  // namespace mlxr
