// Blocks that other software wrote, against what it decodes them to: tests/fixtures/quants holds tensors named by their
// type in blocks.gguf (or raw in TYPE.bin) and their values in expected.safetensors.

#include <algorithm>
#include <bit>
#include <cctype>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/mapped_file.h"
#include "core/io/gguf.h"
#include "core/io/safetensors.h"
#include "core/quant/quant.h"
#include "tests/support/paths.h"

namespace mlxr {
namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

// Order of floats as integers: neighbours differ by one, and the zeros are one value.
std::int64_t position(float value) {
  const auto bits = std::bit_cast<std::int32_t>(value);
  return bits >= 0 ? bits : std::int64_t{INT32_MIN} - bits;
}

TEST(QuantFixture, EveryTypeDecodesWithinOneUlp) {
  auto blocks = GgufFile::open(test::fixture("quants/blocks.gguf"));
  ASSERT_TRUE(blocks.ok()) << blocks.status().message();
  auto expected = SafetensorsFile::open(test::fixture("quants/expected.safetensors"));
  ASSERT_TRUE(expected.ok()) << expected.status().message();
  ASSERT_GE((*expected)->tensors().size(), 22U);
  for (const WeightTensor& want : (*expected)->tensors()) {
    SCOPED_TRACE(want.name);
    const auto type = quant_type_from_name(want.name);
    ASSERT_TRUE(type.has_value());
    std::span<const std::byte> bytes;
    std::shared_ptr<const MappedFile> raw;
    if (const WeightTensor* tensor = (*blocks)->find(want.name)) {
      EXPECT_EQ(tensor->type, *type);
      EXPECT_EQ(tensor->shape, want.shape);
      bytes = tensor->bytes;
    } else {
      auto file = MappedFile::open(test::fixture("quants/" + lower(want.name) + ".bin"));
      ASSERT_TRUE(file.ok()) << file.status().message();
      raw = *file;
      bytes = raw->bytes();
    }
    std::vector<float> values(want.bytes.size() / sizeof(float));
    std::memcpy(values.data(), want.bytes.data(), want.bytes.size());
    std::vector<float> decoded(values.size());
    ASSERT_EQ(quant_row_bytes(*type, decoded.size()), bytes.size());
    decode_row(*type, bytes, decoded);
    std::int64_t worst = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      worst = std::max(worst, std::abs(position(values[i]) - position(decoded[i])));
    }
    EXPECT_LE(worst, 1);
  }
}

}  // namespace
}  // namespace mlxr
