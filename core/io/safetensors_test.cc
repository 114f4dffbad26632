#include "core/io/safetensors.h"

#include <cstring>

#include <gtest/gtest.h>

#include "tests/support/gguf_bytes.h"
#include "tests/support/paths.h"
#include "tests/support/temp_dir.h"

namespace mlxr {
namespace {

using test::file_of;

std::string with_header(const std::string& header, std::size_t data_bytes = 0) {
  const std::uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), 8) + header + std::string(data_bytes, '\1');
}

TEST(Safetensors, ReadsEveryTypeOfAnotherWriter) {
  const auto file = SafetensorsFile::open(test::fixture("io/types.safetensors"));
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ((*file)->metadata().at("note"), "na\xc3\xafve");
  struct Expected {
    const char* name;
    QuantType type;
    Shape shape;
    std::size_t num_bytes;
  };
  const Expected expected[] = {
      {"c.ids", QuantType::kI64, {2, 2}, 32},    {"scalar", QuantType::kF64, Shape(), 8},
      {"a.weight", QuantType::kF32, {3, 4}, 48}, {"empty", QuantType::kF32, {0, 4}, 0},
      {"b.bias", QuantType::kF16, {5}, 10},      {"deep", QuantType::kU8, {1, 2, 3, 4}, 24},
      {"d.flags", QuantType::kBOOL, {3}, 3},
  };
  ASSERT_EQ((*file)->tensors().size(), std::size(expected));
  for (std::size_t i = 0; i < std::size(expected); ++i) {
    const WeightTensor& tensor = (*file)->tensors()[i];
    EXPECT_EQ(tensor.name, expected[i].name);
    EXPECT_EQ(tensor.type, expected[i].type) << tensor.name;
    EXPECT_EQ(tensor.shape, expected[i].shape) << tensor.name;
    EXPECT_EQ(tensor.bytes.size(), expected[i].num_bytes) << tensor.name;
    EXPECT_EQ((*file)->find(tensor.name), &tensor);
  }
  double scalar = 0;
  std::memcpy(&scalar, (*file)->find("scalar")->bytes.data(), 8);
  EXPECT_EQ(scalar, 2.5);
}

TEST(Safetensors, ReadsAHeaderOfAnyLength) {
  // Files of older writers start their data at any address; kernels still read whole elements.
  std::string header = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  for (int spaces = 0; spaces < 4; ++spaces, header += ' ') {
    const auto file = SafetensorsFile::parse(file_of(with_header(header, 8)));
    ASSERT_TRUE(file.ok()) << file.status().message();
    const auto bytes = (*file)->find("a")->bytes;
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(bytes.data()) % alignof(float), 0U);
    EXPECT_EQ(bytes.size(), 8U);
  }
}

TEST(Safetensors, AcceptsAFileWithoutTensors) {
  for (const char* header : {"{}", R"({"__metadata__":{}})"}) {
    const auto file = SafetensorsFile::parse(file_of(with_header(header)));
    ASSERT_TRUE(file.ok()) << file.status().message();
    EXPECT_TRUE((*file)->tensors().empty());
  }
}

struct Case {
  const char* name;
  std::string bytes;
  const char* message;  // after "x.safetensors: "
  StatusCode code = StatusCode::kCorrupt;
};

void expect_errors(std::span<const Case> cases) {
  for (const Case& c : cases) {
    const auto file = SafetensorsFile::parse(file_of(c.bytes, "x.safetensors"));
    ASSERT_FALSE(file.ok()) << c.name;
    EXPECT_EQ(file.status().message(), std::string("x.safetensors: ") + c.message) << c.name;
    EXPECT_EQ(file.status().code(), c.code) << c.name;
  }
}

std::string tensor_header(const std::string& body) {
  return "{\"t\":{" + body + "}}";
}

TEST(SafetensorsCorrupt, Opening) {
  const std::string huge("\xff\xff\xff\xff\xff\xff\xff\xff{", 9);
  const Case cases[] = {
      {"empty", "", "header length (8 bytes) at offset 0 runs past the end of the file (0 bytes)"},
      {"cut length", "abc", "header length (8 bytes) at offset 0 runs past the end of the file (3 bytes)"},
      {"lying length", huge,
       "header length 18446744073709551615 at offset 0 is more than the format's limit of 100000000"},
      {"length past the end", with_header("{}").substr(0, 9),
       "header (2 bytes) at offset 8 runs past the end of the file (9 bytes)"},
      {"no JSON", with_header("{]"), "header is not valid JSON at offset 9"},
      {"cut JSON", with_header("{\"a\":"), "header is not valid JSON at offset 13"},
      {"empty header", with_header(""), "header is not valid JSON at offset 8"},
      {"text after the header", with_header("{} x"), "header is not valid JSON at offset 11"},
      {"not UTF-8", with_header("{\"\xff\": {}}"), "header is not valid JSON at offset 10"},
      {"an array", with_header("[1]"), "header: the JSON is an array, not an object"},
      {"a number", with_header("7"), "header: the JSON is a number, not an object"},
      {"a deep array", with_header(std::string(100000, '[')), "header: the JSON is an array, not an object"},
      {"deep objects", with_header("{\"a\":{\"shape\":{\"b\":1}}}"),
       "header: tensor \"a\" field \"shape\" has an object"},
  };
  expect_errors(cases);
}

TEST(SafetensorsCorrupt, Fields) {
  const Case cases[] = {
      {"tensor is a string", with_header("{\"t\":\"x\"}"), "header: tensor \"t\" is a string, not an object"},
      {"tensor is null", with_header("{\"t\":null}"), "header: tensor \"t\" is null, not an object"},
      {"no name", with_header("{\"\":{}}"), "header: tensor \"\" has an empty name"},
      {"no fields", with_header(tensor_header("")), "header: tensor \"t\" needs dtype, shape and data_offsets"},
      {"unknown field", with_header(tensor_header("\"x\":1")), "header: tensor \"t\" field \"x\" has a number"},
      {"unknown array", with_header(tensor_header("\"x\":[1]")), "header: tensor \"t\" field \"x\" has an array"},
      {"dtype twice", with_header(tensor_header("\"dtype\":\"F32\",\"dtype\":\"F32\"")),
       "header: tensor \"t\" has the field \"dtype\" twice"},
      {"long dtype", with_header(tensor_header("\"dtype\":\"" + std::string(17, 'F') + "\"")),
       "header: tensor \"t\" dtype \"FFFFFFFFFFFFFFFFF\" is unknown"},
      {"negative dimension", with_header(tensor_header("\"shape\":[-1]")),
       "header: tensor \"t\" \"shape\" has the negative number -1"},
      {"fraction", with_header(tensor_header("\"shape\":[1.5]")),
       "header: tensor \"t\" field \"shape\" has a number that is no integer"},
      {"dimension of 64 bits", with_header(tensor_header("\"shape\":[18446744073709551615]")),
       "header: tensor \"t\" dimension 18446744073709551615 is out of range"},
      {"17 dimensions", with_header(tensor_header("\"shape\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]")),
       "header: tensor \"t\" has more than 16 dimensions"},
      {"nested shape", with_header(tensor_header("\"shape\":[[1]]")),
       "header: tensor \"t\" field \"shape\" has an array"},
      {"text in shape", with_header(tensor_header("\"shape\":[\"1\"]")),
       "header: tensor \"t\" field \"shape\" has a string"},
      {"one offset", with_header(tensor_header("\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0]")),
       "header: tensor \"t\" data_offsets does not have two numbers"},
      {"three offsets", with_header(tensor_header("\"data_offsets\":[0,1,2]")),
       "header: tensor \"t\" data_offsets does not have two numbers"},
      {"metadata number", with_header("{\"__metadata__\":{\"a\":1}}"), "header: __metadata__ field \"a\" has a number"},
      {"metadata string", with_header("{\"__metadata__\":\"a\"}"), "header: __metadata__ is a string, not an object"},
      {"unknown dtype", with_header(tensor_header("\"dtype\":\"F9\",\"shape\":[],\"data_offsets\":[0,0]")),
       "tensor \"t\": dtype \"F9\" is unknown", StatusCode::kUnsupported},
  };
  expect_errors(cases);
}

TEST(SafetensorsCorrupt, Ranges) {
  const auto f32 = [](const std::string& shape, const std::string& offsets) {
    return "{\"dtype\":\"F32\",\"shape\":[" + shape + "],\"data_offsets\":[" + offsets + "]}";
  };
  const auto one = [&f32](const std::string& shape, const std::string& offsets) {
    return "{\"t\":" + f32(shape, offsets) + "}";
  };
  const auto two = [&f32](const std::string& a, const std::string& b) {
    return "{\"a\":" + f32("1", a) + ",\"b\":" + f32("1", b) + "}";
  };
  const Case cases[] = {
      {"past the end", with_header(one("2", "0,8"), 7),
       "tensor \"t\": data ends 8 bytes after offset 62, past the end of the file (69)"},
      {"far past the end", with_header(one("2", "0,18446744073709551615"), 7),
       "tensor \"t\": data ends 18446744073709551615 bytes after offset 81, past the end of the file (88)"},
      {"backwards", with_header(one("2", "8,0"), 8), "tensor \"t\": data_offsets [8, 0] run backwards"},
      {"size", with_header(one("3", "0,8"), 8),
       "tensor \"t\": data_offsets [0, 8] hold 8 bytes, but shape [3] of F32 takes 12"},
      {"scalar size", with_header(one("", "0,8"), 8),
       "tensor \"t\": data_offsets [0, 8] hold 8 bytes, but shape [] of F32 takes 4"},
      {"overflow", with_header(one("4611686018427387904,4", "0,8"), 8),
       "tensor \"t\": shape [4611686018427387904, 4] is too large for dtype F32"},
      {"gap at the start", with_header(one("1", "4,8"), 8),
       "tensor \"t\": data_offsets [4, 8] leave a gap after the tensor before, which ends at 0"},
      {"gap", with_header(two("0,4", "8,12"), 12),
       "tensor \"b\": data_offsets [8, 12] leave a gap after the tensor before, which ends at 4"},
      {"overlap", with_header(two("0,4", "2,6"), 6),
       "tensor \"b\": data_offsets [2, 6] overlap the tensor before, which ends at 4"},
      {"same range", with_header(two("0,4", "0,4"), 4),
       "tensor \"b\": data_offsets [0, 4] overlap the tensor before, which ends at 4"},
      {"bytes left over", with_header(one("1", "0,4"), 5), "tensors end at 66, but the file has 67 bytes"},
      {"name twice", with_header("{\"t\":" + f32("1", "0,4") + ",\"t\":" + f32("1", "4,8") + "}", 8),
       "tensor \"t\" appears twice"},
  };
  expect_errors(cases);
}

TEST(SafetensorsCorrupt, EveryTruncationIsAnError) {
  const std::string whole = test::read_file(test::fixture("io/types.safetensors"));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    ASSERT_FALSE(SafetensorsFile::parse(file_of(whole.substr(0, size))).ok()) << size;
  }
  ASSERT_TRUE(SafetensorsFile::parse(file_of(whole)).ok());
}

}  // namespace
}  // namespace mlxr
