#include "core/io/metadata.h"

#include <limits>

#include <gtest/gtest.h>

namespace mlxr {
namespace {

Metadata sample() {
  Metadata metadata("model.gguf");
  metadata.set("u8", std::uint8_t{200});
  metadata.set("i32", std::int32_t{-5});
  metadata.set("u64", std::numeric_limits<std::uint64_t>::max());
  metadata.set("f32", 0.5F);
  metadata.set("f64", 0.25);
  metadata.set("bool", true);
  metadata.set("text", std::string("hi"));
  metadata.set("floats", std::vector<float>{1.5F, 2.5F});
  metadata.set("ints", std::vector<std::int16_t>{-1, 2});
  metadata.set("bools", MetadataBools{{1, 0}});
  metadata.set("big", std::vector<std::uint64_t>{std::numeric_limits<std::uint64_t>::max()});
  metadata.set("strings", MetadataStrings(std::vector<std::string>{"a", "", "c"}));
  return metadata;
}

TEST(Metadata, ConvertsOnlyWhatFits) {
  const Metadata metadata = sample();
  EXPECT_EQ(metadata.get_uint("u8"), 200U);
  EXPECT_EQ(metadata.get_int("u8"), 200);
  EXPECT_EQ(metadata.get_uint("i32"), std::nullopt);
  EXPECT_EQ(metadata.get_int("i32"), -5);
  EXPECT_EQ(metadata.get_int("u64"), std::nullopt);
  EXPECT_EQ(metadata.get_uint("bool"), std::nullopt);
  EXPECT_EQ(metadata.get_uint("f32"), std::nullopt);
  EXPECT_EQ(metadata.get_float("f32"), 0.5F);
  EXPECT_EQ(metadata.get_float("f64"), 0.25F);
  EXPECT_EQ(metadata.get_float("i32"), -5.0F);
  EXPECT_EQ(metadata.get_float("text"), std::nullopt);
  EXPECT_EQ(metadata.get_bool("bool"), true);
  EXPECT_EQ(metadata.get_bool("u8"), std::nullopt);
  EXPECT_EQ(metadata.get_string("text"), "hi");
  EXPECT_EQ(metadata.get_string("absent"), std::nullopt);
  EXPECT_EQ(metadata.get_floats("ints"), (std::vector<float>{-1, 2}));
  EXPECT_EQ(metadata.get_floats("strings"), std::nullopt);
  EXPECT_EQ(metadata.get_ints("ints"), (std::vector<std::int64_t>{-1, 2}));
  EXPECT_EQ(metadata.get_ints("bools"), (std::vector<std::int64_t>{1, 0}));
  EXPECT_EQ(metadata.get_ints("big"), std::nullopt);
  EXPECT_EQ(metadata.get_ints("floats"), std::nullopt);
  ASSERT_TRUE(metadata.get_strings("strings"));
  EXPECT_EQ((*metadata.get_strings("strings"))[2], "c");
}

TEST(Metadata, RequireNamesTheFileAndTheKey) {
  const Metadata metadata = sample();
  EXPECT_EQ(*metadata.require_uint("u8"), 200U);
  const auto missing = metadata.require_uint("llama.block_count");
  EXPECT_EQ(missing.status().code(), StatusCode::kNotFound);
  EXPECT_EQ(missing.status().message(), "model.gguf: metadata key \"llama.block_count\" is missing");
  const auto wrong = metadata.require_uint("i32");
  EXPECT_EQ(wrong.status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(wrong.status().message(), "model.gguf: metadata key \"i32\" is -5 (i32), expected an unsigned integer");
  EXPECT_EQ(metadata.require_strings("floats").status().message(),
            "model.gguf: metadata key \"floats\" is [1.5, 2.5] (arr[f32]), expected an array of strings");
  EXPECT_TRUE(metadata.require_int("i32").ok() && metadata.require_float("f32").ok() &&
              metadata.require_bool("bool").ok() && metadata.require_string("text").ok() &&
              metadata.require_floats("floats").ok() && metadata.require_ints("ints").ok());
}

TEST(Metadata, SettersKeepOrderAndReplaceInPlace) {
  Metadata metadata;
  metadata.set_uint("a", 7);
  metadata.set_uint("b", std::uint64_t{1} << 40);
  metadata.set_int("c", -7);
  metadata.set_string("d", "x");
  metadata.set_uint("a", 8);
  ASSERT_EQ(metadata.entries().size(), 4U);
  EXPECT_EQ(metadata.entries()[0].key, "a");
  EXPECT_EQ(metadata.entries()[0].value, MetadataValue(std::uint32_t{8}));
  EXPECT_EQ(metadata_type_name(metadata.entries()[1].value), "u64");
  EXPECT_EQ(metadata_type_name(metadata.entries()[2].value), "i32");
  metadata.erase("b");
  metadata.erase("absent");
  ASSERT_EQ(metadata.entries().size(), 3U);
  EXPECT_EQ(metadata.get_string("d"), "x");
  EXPECT_EQ(metadata.get_int("c"), -7);
  EXPECT_FALSE(metadata.contains("b"));
}

TEST(Metadata, CopiesOutliveTheOriginal) {
  Metadata copy;
  {
    Metadata original = sample();
    copy = original;
    original.set_string("text", "changed");
  }
  EXPECT_EQ(copy.get_string("text"), "hi");
  EXPECT_EQ((*copy.get_strings("strings"))[0], "a");
}

TEST(Metadata, TextIsOneShortLine) {
  EXPECT_EQ(metadata_text(std::string("two\nlines \"x\"")), "\"two\\x0alines \\\"x\\\"\"");
  EXPECT_EQ(metadata_text(std::string(100, 'a'), 1), "\"aaaaaaaaaaaaaaaa\" (100 bytes)");
  EXPECT_EQ(metadata_text(std::vector<std::int8_t>{1, 2, 3}, 2), "[1, 2, ... 3 in all]");
  EXPECT_EQ(metadata_text(MetadataBools{{1, 0}}), "[true, false]");
  EXPECT_EQ(metadata_text(std::uint8_t{65}), "65");
  EXPECT_EQ(metadata_type_name(MetadataBools{}), "arr[bool]");
  EXPECT_EQ(metadata_type_name(MetadataStrings{}), "arr[str]");
  EXPECT_EQ(metadata_type_name(1.0), "f64");
}

}  // namespace
}  // namespace mlxr
