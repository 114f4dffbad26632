#include "core/quant/plain.h"

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/float16.h"

namespace mlxr {
namespace {

template <class T>
std::vector<std::byte> bytes_of(const std::vector<T>& values) {
  // One byte of lead makes every element unaligned, as a mapping may be.
  std::vector<std::byte> bytes(1);
  const auto view = std::as_bytes(std::span(values));
  bytes.insert(bytes.end(), view.begin(), view.end());
  return bytes;
}

template <class T>
std::vector<float> decoded(void (*decode)(const std::byte*, std::span<float>), const std::vector<T>& values) {
  const std::vector<std::byte> bytes = bytes_of(values);
  std::vector<float> out(values.size());
  decode(bytes.data() + 1, out);
  return out;
}

TEST(Plain, FloatsDecodeFromUnalignedBytes) {
  const std::vector<float> expected = {0.0F, -1.5F, 65504.0F, 0x1p-14F};
  EXPECT_EQ(decoded<float>(decode_f32, expected), expected);
  EXPECT_EQ(decoded<double>(decode_f64, {0.0, -1.5, 65504.0, 0x1p-14}), expected);
  EXPECT_EQ(decoded<std::uint16_t>(decode_f16, {0x0000, 0xbe00, 0x7bff, 0x0400}), expected);
  EXPECT_EQ(decoded<std::uint16_t>(decode_bf16, {0x0000, 0xbfc0, 0x4780, 0x3880}),
            (std::vector<float>{0.0F, -1.5F, 65536.0F, 0x1p-14F}));
}

TEST(Plain, F64RoundsToNearest) {
  EXPECT_EQ(decoded<double>(decode_f64, {0.1, 1e300, -1e-300}), (std::vector<float>{0.1F, INFINITY, -0.0F}));
}

// OCP 8-bit floating point specification, tables 1 and 2: bias 7 and 15, the values it lists.
TEST(Plain, F8ValuesOfTheSpecification) {
  EXPECT_EQ(decoded<std::uint8_t>(decode_f8_e4m3, {0x00, 0x80, 0x01, 0x07, 0x08, 0x38, 0x7e, 0xfe}),
            (std::vector<float>{0.0F, -0.0F, 0x1p-9F, 0.875F * 0x1p-6F, 0x1p-6F, 1.0F, 448.0F, -448.0F}));
  EXPECT_EQ(decoded<std::uint8_t>(decode_f8_e5m2, {0x00, 0x01, 0x03, 0x04, 0x3c, 0x7b, 0x7c, 0xfc}),
            (std::vector<float>{0.0F, 0x1p-16F, 0.75F * 0x1p-14F, 0x1p-14F, 1.0F, 57344.0F, INFINITY, -INFINITY}));
  for (const float x : decoded<std::uint8_t>(decode_f8_e4m3, {0x7f, 0xff}))
    EXPECT_TRUE(std::isnan(x));
  for (const float x : decoded<std::uint8_t>(decode_f8_e5m2, {0x7d, 0x7e, 0x7f, 0xff}))
    EXPECT_TRUE(std::isnan(x));
}

TEST(Plain, EncodeRoundsEachElementAndIgnoresImportance) {
  const std::vector<float> in = {0.1F, -3.14159F, 1e9F, 0.0F};
  const std::vector<float> importance = {0.0F, 1.0F, 2.0F, 3.0F};
  std::vector<std::uint16_t> halves(in.size());
  encode_f16(in, importance, reinterpret_cast<std::byte*>(halves.data()));
  for (std::size_t i = 0; i < in.size(); ++i)
    EXPECT_EQ(halves[i], f32_to_f16(in[i]));
  encode_bf16(in, {}, reinterpret_cast<std::byte*>(halves.data()));
  for (std::size_t i = 0; i < in.size(); ++i)
    EXPECT_EQ(halves[i], f32_to_bf16(in[i]));
  std::vector<float> same(in.size());
  encode_f32(in, {}, reinterpret_cast<std::byte*>(same.data()));
  EXPECT_EQ(same, in);
}

}  // namespace
}  // namespace mlxr
