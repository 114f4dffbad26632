#include "core/backend/kv_codec.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace mlxr {
namespace {

std::vector<float> normals(std::int64_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<float> x(static_cast<std::size_t>(n));
  for (float& value : x) {  // sums of uniform numbers: the same everywhere, which std::normal_distribution is not
    float sum = 0;
    for (int i = 0; i < 12; ++i)
      sum += static_cast<float>(random() >> 8) * 0x1p-24F;
    value = sum - 6;
  }
  return x;
}

KvLayout layout_of(KvType type, bool rotate = true) {
  return {.layers = {{1, 64, 64}}, .num_blocks = {1}, .block_tokens = 32, .type = type, .rotate = rotate};
}

std::vector<float> round_trip(const KvLayout& layout, std::vector<float> x) {
  const auto n = static_cast<std::int64_t>(x.size());
  std::vector<std::byte> row(*kv_row_bytes(layout.type, n));
  std::vector<float> out(x.size());
  encode_kv_row(layout, x.data(), n, row.data());
  decode_kv_row(layout.type, row.data(), n, out.data());
  if (is_rotated(layout)) hadamard(out.data(), n);
  return out;
}

double square_error(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    sum += static_cast<double>(a[i] - b[i]) * static_cast<double>(a[i] - b[i]);
  return sum;
}

TEST(KvType, RowsCountScalesAndCodes) {
  EXPECT_EQ(kv_row_bytes(KvType::kF32, 80), 320U);
  EXPECT_EQ(kv_row_bytes(KvType::kF16, 80), 160U);
  EXPECT_EQ(kv_row_bytes(KvType::kQ8_0, 64), 68U);
  EXPECT_EQ(kv_row_bytes(KvType::kQ4_0, 64), 36U);
  EXPECT_EQ(kv_row_bytes(KvType::kFP8_E4M3, 80), 82U);
  for (const std::int64_t dim : {0, -32, 80})
    EXPECT_FALSE(kv_row_bytes(KvType::kQ8_0, dim)) << dim;
  EXPECT_FALSE(kv_row_bytes(KvType::kF32, INT64_MAX / 8));
  EXPECT_EQ(kv_type_by_name("q4_0"), KvType::kQ4_0);
  EXPECT_FALSE(kv_type_by_name("q5_0"));
  EXPECT_EQ(kv_type_names(), "f32, f16, bf16, q8_0, q4_0, fp8_e4m3");
}

// Orthonormal and its own inverse: scores and norms stay, and turning twice gives the original.
TEST(Hadamard, KeepsProductsAndIsItsOwnInverse) {
  for (const std::int64_t n : {1, 2, 32, 64, 80, 96, 128, 256}) {
    std::vector<double> x;
    std::vector<double> y;
    for (std::int64_t i = 0; i < n; ++i) {
      x.push_back(static_cast<double>((i * 7 + 3) % 11) - 5);
      y.push_back(static_cast<double>((i * 5 + 1) % 13) - 6);
    }
    double before = 0;
    for (std::size_t i = 0; i < x.size(); ++i)
      before += x[i] * y[i];
    std::vector<double> turned = x;
    hadamard(turned.data(), n);
    hadamard(y.data(), n);
    double after = 0;
    for (std::size_t i = 0; i < x.size(); ++i)
      after += turned[i] * y[i];
    EXPECT_NEAR(after, before, 1e-12 * static_cast<double>(n * n)) << n;
    hadamard(turned.data(), n);
    for (std::size_t i = 0; i < x.size(); ++i)
      EXPECT_NEAR(turned[i], x[i], 1e-13 * static_cast<double>(n)) << n;
  }
  // The rows of order 4.
  std::vector<float> unit{0, 1, 0, 0};
  hadamard(unit.data(), 4);
  EXPECT_EQ(unit, (std::vector<float>{0.5F, -0.5F, 0.5F, -0.5F}));
}

TEST(E4m3, RoundsToTheNearestOfAllCodes) {
  for (int code = 0; code < 256; ++code) {
    const float value = e4m3_to_f32(static_cast<std::uint8_t>(code));
    if ((code & 0x7f) == 0x7f) {
      EXPECT_TRUE(std::isnan(value));
      continue;
    }
    EXPECT_EQ(f32_to_e4m3(value), code);
    if ((code & 0x7f) == 0x7e) continue;
    const float next = e4m3_to_f32(static_cast<std::uint8_t>(code + 1));
    const float middle = (value + next) / 2;
    EXPECT_EQ(f32_to_e4m3(middle), code % 2 == 0 ? code : code + 1) << code;  // ties to even
    EXPECT_EQ(f32_to_e4m3(std::nextafterf(middle, value)), code);
    EXPECT_EQ(f32_to_e4m3(std::nextafterf(middle, next)), code + 1);
  }
  for (const float large : {448.0F, 463.0F, 464.0F, 480.0F, 1e30F, INFINITY}) {
    EXPECT_EQ(f32_to_e4m3(large), 0x7e);
    EXPECT_EQ(f32_to_e4m3(-large), 0xfe);
  }
  EXPECT_EQ(f32_to_e4m3(NAN) & 0x7f, 0x7f);
}

// Errors of an element: half a step (the scale), or half the distance of two codes; the stored scale is off by 2^-11.
TEST(KvCodec, ErrorsStayInHalfAStep) {
  const std::vector<float> x = normals(64, 1);
  for (const KvType type : {KvType::kQ8_0, KvType::kQ4_0, KvType::kFP8_E4M3}) {
    const std::vector<float> y = round_trip(layout_of(type, false), x);
    const auto span = static_cast<std::size_t>(kv_scale_span(type, 64));
    for (std::size_t begin = 0; begin < x.size(); begin += span) {
      float top = 0;
      for (std::size_t i = begin; i < begin + span; ++i)
        top = std::max(top, std::fabs(x[i]));
      for (std::size_t i = begin; i < begin + span; ++i) {
        float bound = 0;
        if (type == KvType::kQ8_0) bound = top / 127 * 0.51F;
        // The largest is exact at -8; one of its size and the other sign stops at 7.
        if (type == KvType::kQ4_0) bound = top / 8 * (x[i] == 0 ? 0.51F : 1.01F);
        if (type == KvType::kFP8_E4M3) bound = std::max(std::fabs(x[i]) / 16, top / 448 * 0x1p-10F) * 1.01F;
        EXPECT_LE(std::fabs(y[i] - x[i]), bound) << kv_type_info(type).name << " " << x[i];
      }
    }
  }
}

TEST(KvCodec, ZeroStaysZeroAndNoNumbersStayNone) {
  for (const KvType type : {KvType::kQ8_0, KvType::kQ4_0, KvType::kFP8_E4M3}) {
    const std::vector<float> zero(64, 0.0F);
    EXPECT_EQ(round_trip(layout_of(type), zero), zero);
    for (const float bad : {INFINITY, -INFINITY, NAN}) {
      std::vector<float> x = normals(64, 2);
      x[5] = bad;
      EXPECT_TRUE(std::isnan(round_trip(layout_of(type), x)[5])) << kv_type_info(type).name;
    }
    const std::vector<float> huge(64, 3e38F);
    for (const float value : round_trip(layout_of(type, false), huge))
      EXPECT_TRUE(std::isfinite(value)) << kv_type_info(type).name;
  }
}

// What rotation is for: a head with a large channel, as keys have. The error of four bits is a step of the largest
// element, which rotation makes smaller; of normal numbers it makes no difference but noise.
TEST(KvCodec, RotationHelpsHeadsWithOutliers) {
  double plain = 0;
  double rotated = 0;
  for (unsigned seed = 1; seed <= 50; ++seed) {
    std::vector<float> x = normals(128, seed);
    x[17] *= 20;
    plain += square_error(round_trip(layout_of(KvType::kQ4_0, false), x), x);
    rotated += square_error(round_trip(layout_of(KvType::kQ4_0, true), x), x);
  }
  EXPECT_LT(rotated, 0.6 * plain);
}

TEST(KvCodec, KeyRowsComeBackFromTheirColumns) {
  constexpr std::int64_t kStride = 32;
  for (const KvType type : {KvType::kQ8_0, KvType::kQ4_0, KvType::kFP8_E4M3}) {
    const std::size_t bytes = *kv_row_bytes(type, 64);
    std::vector<std::byte> tile(bytes * kStride);
    const auto row_of = [&](std::int64_t token) {
      std::vector<std::byte> row(bytes);
      for (std::size_t i = 0; i < bytes; ++i)
        row[i] = static_cast<std::byte>(i * 31 + static_cast<std::size_t>(token) * 7);
      return row;
    };
    for (std::int64_t token = 0; token < kStride; ++token)
      scatter_key_row(type, row_of(token).data(), 64, kStride, token, tile.data());
    for (std::int64_t token = 0; token < kStride; ++token) {
      std::vector<std::byte> row(bytes);
      gather_key_row(type, tile.data(), 64, kStride, token, row.data());
      EXPECT_EQ(row, row_of(token)) << kv_type_info(type).name;
    }
  }
}

}  // namespace
}  // namespace mlxr
