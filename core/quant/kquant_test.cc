#include "core/quant/kquant.h"

#include <array>
#include <cstdint>
#include <random>

#include <gtest/gtest.h>

namespace mlxr {
namespace {

// Which group of `size` elements element `e` is in.
std::size_t index_of(std::size_t e, std::size_t size) {
  return e / size;
}

constexpr std::uint16_t kOne = 0x3c00;
constexpr std::uint16_t kEighth = 0x3000;

template <class Block>
std::array<float, kSuperBlock> decoded(void (*decode)(const std::byte*, std::span<float>), const Block& block) {
  std::array<float, kSuperBlock> out{};
  decode(reinterpret_cast<const std::byte*>(&block), out);
  return out;
}

// The blocks below are written as kquant.h words them, one element at a time; the decoders read them by formula.
// Element e of every block is given q = f(e), sub-block s the scale g(s) and minimum h(s), small integers.
int f(std::size_t e, int limit) {
  return static_cast<int>((e * 7 + e / 16 * 3 + e / 128) % static_cast<std::size_t>(limit));
}

void set_bits(std::uint8_t& byte, int value, std::size_t shift) {
  byte = static_cast<std::uint8_t>(byte | (value << shift));
}

void set_two_bits(std::uint8_t (&qs)[64], std::size_t e, int value) {
  const std::size_t half = e / 128;
  const std::size_t k = e % 128 / 32;
  const std::size_t l = e % 32;
  set_bits(qs[32 * half + l], value, 2 * k);
}

TEST(KQuant, Q2_K) {
  BlockQ2_K block{};
  block.d = kEighth;
  block.dmin = kOne;
  for (std::size_t s = 0; s < 16; ++s)
    block.scales[s] = static_cast<std::uint8_t>(s | ((15 - s) << 4));
  for (std::size_t e = 0; e < kSuperBlock; ++e)
    set_two_bits(block.qs, e, f(e, 4));
  const auto x = decoded(decode_q2_k, block);
  for (std::size_t e = 0; e < kSuperBlock; ++e) {
    const auto s = static_cast<float>(index_of(e, 16));
    EXPECT_EQ(x[e], 0.125F * s * static_cast<float>(f(e, 4)) - (15 - s)) << e;
  }
}

TEST(KQuant, Q3_K) {
  BlockQ3_K block{};
  block.d = kEighth;
  Scales16 scales{};
  for (std::size_t s = 0; s < 16; ++s)
    scales.scale[s] = static_cast<std::uint8_t>(4 * s + 1);
  pack_q3_scales(scales, block.scales);
  for (std::size_t e = 0; e < kSuperBlock; ++e) {
    set_two_bits(block.qs, e, f(e, 8) & 3);
    set_bits(block.hmask[e % 32], f(e, 8) >> 2, e / 32);
  }
  const auto x = decoded(decode_q3_k, block);
  for (std::size_t e = 0; e < kSuperBlock; ++e) {
    EXPECT_EQ(x[e], 0.125F * (4 * static_cast<float>(index_of(e, 16)) + 1 - 32) * static_cast<float>(f(e, 8) - 4)) << e;
  }
}

TEST(KQuant, Q4_K) {
  BlockQ4_K block{};
  block.d = kEighth;
  block.dmin = kOne;
  ScaleMins values{};
  for (std::size_t s = 0; s < 8; ++s) {
    values.scale[s] = static_cast<std::uint8_t>(9 * s);
    values.min[s] = static_cast<std::uint8_t>(63 - 5 * s);
  }
  pack_scale_mins(values, block.scales);
  for (std::size_t p = 0; p < 4; ++p) {
    for (std::size_t l = 0; l < 32; ++l) {
      block.qs[32 * p + l] = static_cast<std::uint8_t>(f(64 * p + l, 16) | (f(64 * p + 32 + l, 16) << 4));
    }
  }
  const auto x = decoded(decode_q4_k, block);
  for (std::size_t e = 0; e < kSuperBlock; ++e) {
    const auto s = static_cast<float>(index_of(e, 32));
    EXPECT_EQ(x[e], 0.125F * 9 * s * static_cast<float>(f(e, 16)) - (63 - 5 * s)) << e;
  }
}

TEST(KQuant, Q5_K) {
  BlockQ5_K block{};
  block.d = kEighth;
  block.dmin = kOne;
  ScaleMins values{};
  for (std::size_t s = 0; s < 8; ++s) {
    values.scale[s] = static_cast<std::uint8_t>(63 - 8 * s);
    values.min[s] = static_cast<std::uint8_t>(7 * s);
  }
  pack_scale_mins(values, block.scales);
  for (std::size_t e = 0; e < kSuperBlock; ++e) {
    set_bits(block.qs[32 * (e / 64) + e % 32], f(e, 32) & 15, e % 64 < 32 ? 0 : 4);
    set_bits(block.qh[e % 32], f(e, 32) >> 4, e / 32);
  }
  const auto x = decoded(decode_q5_k, block);
  for (std::size_t e = 0; e < kSuperBlock; ++e) {
    const auto s = static_cast<float>(index_of(e, 32));
    EXPECT_EQ(x[e], 0.125F * (63 - 8 * s) * static_cast<float>(f(e, 32)) - 7 * s) << e;
  }
}

TEST(KQuant, Q6_K) {
  BlockQ6_K block{};
  block.d = kEighth;
  for (std::size_t s = 0; s < 16; ++s)
    block.scales[s] = static_cast<std::int8_t>(16 * static_cast<int>(s) - 128);
  for (std::size_t h = 0; h < 2; ++h) {
    for (std::size_t l = 0; l < 32; ++l) {
      const std::size_t e = 128 * h + l;
      block.ql[64 * h + l] = static_cast<std::uint8_t>((f(e, 64) & 15) | ((f(e + 64, 64) & 15) << 4));
      block.ql[64 * h + 32 + l] = static_cast<std::uint8_t>((f(e + 32, 64) & 15) | ((f(e + 96, 64) & 15) << 4));
      for (std::size_t k = 0; k < 4; ++k)
        set_bits(block.qh[32 * h + l], f(e + 32 * k, 64) >> 4, 2 * k);
    }
  }
  const auto x = decoded(decode_q6_k, block);
  for (std::size_t e = 0; e < kSuperBlock; ++e) {
    EXPECT_EQ(x[e], 0.125F * (16 * static_cast<float>(index_of(e, 16)) - 128) * static_cast<float>(f(e, 64) - 32)) << e;
  }
}

TEST(KQuant, Q8_K) {
  BlockQ8_K block{};
  block.d = 0.375F;
  for (std::size_t e = 0; e < kSuperBlock; ++e)
    block.qs[e] = static_cast<std::int8_t>(static_cast<int>(e) - 128);
  const auto x = decoded(decode_q8_k, block);
  for (std::size_t e = 0; e < kSuperBlock; ++e)
    EXPECT_EQ(x[e], 0.375F * (static_cast<float>(e) - 128)) << e;
}

TEST(KQuant, ScalePackingIsABijection) {
  std::mt19937 random(1);
  for (int round = 0; round < 100; ++round) {
    std::uint8_t bytes[12];
    for (std::uint8_t& byte : bytes)
      byte = static_cast<std::uint8_t>(random());
    std::uint8_t again[12];
    pack_scale_mins(unpack_scale_mins(bytes), again);
    EXPECT_TRUE(std::equal(bytes, bytes + 12, again));
    pack_q3_scales(unpack_q3_scales(bytes), again);
    EXPECT_TRUE(std::equal(bytes, bytes + 12, again));
  }
}

}  // namespace
}  // namespace mlxr
