// Every format with a codebook, a ternary packing or four-bit floats against the values that ggml's Python package
// decodes from the same blocks (scripts/make_quant_fixtures.py). The blocks name each row of each codebook.

#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/quant/quant.h"
#include "tests/support/paths.h"

namespace mlxr {
namespace {

class GgufPyBlocks : public testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Types, GgufPyBlocks,
                         testing::Values("IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ1_S", "IQ1_M", "IQ4_NL",
                                         "IQ4_XS", "TQ1_0", "TQ2_0", "MXFP4", "NVFP4"),
                         [](const auto& test_info) { return std::string(test_info.param); });

std::vector<char> read_all(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST_P(GgufPyBlocks, DecodeBitForBit) {
  const std::string base = test::fixture("quants/gguf_py/") + GetParam();
  const std::vector<char> blocks = read_all(base + ".blocks.bin");
  const std::vector<char> values = read_all(base + ".f32.bin");
  ASSERT_FALSE(blocks.empty());
  const QuantType type = *quant_type_from_name(GetParam());
  std::vector<float> expected(values.size() / sizeof(float));
  std::memcpy(expected.data(), values.data(), expected.size() * sizeof(float));
  ASSERT_EQ(quant_row_bytes(type, expected.size()), blocks.size());

  std::vector<float> decoded(expected.size());
  decode_row(type, std::as_bytes(std::span(blocks)), decoded);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    std::uint32_t expected_bits = 0;
    std::uint32_t bits = 0;
    std::memcpy(&expected_bits, &expected[i], sizeof bits);
    std::memcpy(&bits, &decoded[i], sizeof bits);
    ASSERT_EQ(bits, expected_bits) << "element " << i << ": " << decoded[i] << ", expected " << expected[i];
  }
}

}  // namespace
}  // namespace mlxr
