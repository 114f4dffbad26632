#include "core/io/gguf.h"

#include <filesystem>
#include <numeric>

#include <gtest/gtest.h>

#include "tests/support/gguf_bytes.h"
#include "tests/support/paths.h"
#include "tests/support/temp_dir.h"

namespace mlxr {
namespace {

using test::file_of;
using test::fixture;
using test::GgufBytes;
using test::TempDir;

// What scripts/make_io_fixtures.py put in through the gguf package.
void expect_fixture_tensors(const GgufFile& file) {
  ASSERT_EQ(file.tensors().size(), 4U);
  const WeightTensor* embd = file.find("token_embd.weight");
  ASSERT_NE(embd, nullptr);
  EXPECT_EQ(embd->type, QuantType::kF32);
  EXPECT_EQ(embd->shape, Shape({5, 32}));
  for (std::size_t i = 0; i < 160; ++i) {
    float value = 0;
    std::memcpy(&value, embd->bytes.data() + 4 * i, 4);
    ASSERT_EQ(value, static_cast<float>(i % 97));
  }
  const WeightTensor* quantized = file.find("blk.0.attn_q.weight");
  ASSERT_NE(quantized, nullptr);
  EXPECT_EQ(quantized->type, QuantType::kQ8_0);
  EXPECT_EQ(quantized->shape, Shape({3, 64}));
  EXPECT_EQ(quantized->bytes.size(), 3U * 2 * 34);
  EXPECT_EQ(quantized->bytes[34 + 2], std::byte{32});  // the second block's first element
  const WeightTensor* experts = file.find("blk.0.exps.weight");
  ASSERT_NE(experts, nullptr);
  EXPECT_EQ(experts->shape, Shape({2, 3, 4}));
  EXPECT_EQ(file.find("absent"), nullptr);
}

TEST(Gguf, ReadsEveryMetadataTypeOfAnotherWriter) {
  const auto file = GgufFile::open(fixture("io/types.gguf"));
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ((*file)->version(), 3U);
  EXPECT_EQ((*file)->alignment(), 32U);
  expect_fixture_tensors(**file);
  const Metadata& metadata = (*file)->metadata();
  EXPECT_EQ(metadata.entries().front().key, "general.architecture");
  const std::pair<const char*, MetadataValue> expected[] = {
      {"u8", std::uint8_t{200}},
      {"i8", std::int8_t{-100}},
      {"u16", std::uint16_t{60000}},
      {"i16", std::int16_t{-30000}},
      {"u32", std::uint32_t{4000000000}},
      {"i32", std::int32_t{-2000000000}},
      {"f32", 0.25F},
      {"u64", (std::uint64_t{1} << 63) + 5},
      {"i64", -(std::int64_t{1} << 62)},
      {"f64", 1e-300},
      {"true", true},
      {"false", false},
      {"text", std::string("na\xc3\xafve \xf0\x9f\x98\x80")},
      {"empty", std::string()},
      {"u8s", std::vector<std::uint8_t>{1, 2, 255}},
      {"i8s", std::vector<std::int8_t>{-1, 2}},
      {"u16s", std::vector<std::uint16_t>{65535}},
      {"i16s", std::vector<std::int16_t>{-32768, 7}},
      {"u32s", std::vector<std::uint32_t>{1, 4294967295}},
      {"i32s", std::vector<std::int32_t>{-1, 0, 1}},
      {"f32s", std::vector<float>{0.5F, -2.0F, 3.25F}},
      {"u64s", std::vector<std::uint64_t>{std::numeric_limits<std::uint64_t>::max()}},
      {"i64s", std::vector<std::int64_t>{std::numeric_limits<std::int64_t>::min()}},
      {"f64s", std::vector<double>{0.1}},
      {"bools", MetadataBools{{1, 0, 1}}},
      {"strings", MetadataStrings(std::vector<std::string>{"<s>", "", "\xe2\x96\x81the"})},
  };
  for (const auto& [name, value] : expected) {
    const MetadataValue* found = metadata.find(std::string("test.") + name);
    ASSERT_NE(found, nullptr) << name;
    EXPECT_EQ(*found, value) << name;
  }
  EXPECT_EQ(metadata.entries().size(), std::size(expected) + 1);
}

TEST(Gguf, HonoursAlignment) {
  const auto file = GgufFile::open(fixture("io/aligned.gguf"));
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ((*file)->alignment(), 64U);
  EXPECT_EQ((*file)->data_offset() % 64, 0U);
  expect_fixture_tensors(**file);
}

TEST(Gguf, ReadsVersions1To3) {
  for (const std::uint32_t version : {1U, 2U, 3U}) {
    GgufBytes bytes(version);
    bytes.counts(2, 2).key("general.architecture", 8).string("llama");
    bytes.key("tokens", 9).u32(8).length(2).string("<s>").string("x");
    bytes.tensor("a", {8, 2}, 0, 0).tensor("b", {32}, 8, 64).data(64 + 34);
    const auto file = GgufFile::parse(file_of(bytes));
    ASSERT_TRUE(file.ok()) << file.status().message();
    EXPECT_EQ((*file)->version(), version);
    EXPECT_EQ((*file)->metadata().get_string("general.architecture"), "llama");
    EXPECT_EQ((*file)->metadata().get_strings("tokens")->size(), 2U);
    ASSERT_NE((*file)->find("a"), nullptr);
    EXPECT_EQ((*file)->find("a")->shape, Shape({2, 8}));
    EXPECT_EQ((*file)->find("b")->bytes.size(), 34U);
  }
}

TEST(Gguf, ReadsVersion1OfItsTime) {
  const auto path = test::shared("data/stories260k/gguf-v1.gguf");
  if (!path) GTEST_SKIP() << "the shared material is not here";
  const auto file = GgufFile::open(*path);
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ((*file)->version(), 1U);
  EXPECT_EQ((*file)->tensors().size(), 48U);
  EXPECT_EQ((*file)->metadata().require_strings("tokenizer.ggml.tokens")->size(), 512U);
  EXPECT_EQ((*file)->find("token_embd.weight")->shape, Shape({512, 64}));
  const WeightTensor& last = (*file)->tensors().back();
  EXPECT_EQ(last.name, "output.weight");
  EXPECT_EQ((*file)->data_offset() + 1040128 + last.bytes.size(), std::filesystem::file_size(*path));
}

TEST(Gguf, ReadsVocabularyOnlyFiles) {
  const auto path = test::shared("data/gguf-vocab/ggml-vocab-llama-spm.gguf");
  if (!path) GTEST_SKIP() << "the shared material is not here";
  const auto file = GgufFile::open(*path);
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_TRUE((*file)->tensors().empty());
  EXPECT_EQ((*file)->metadata().require_strings("tokenizer.ggml.tokens")->size(), 32000U);
}

TEST(Gguf, AcceptsUnusualButValidFiles) {
  struct Case {
    const char* name;
    std::string bytes;
    std::size_t num_tensors;
  };
  const Case cases[] = {
      {"nothing at all", GgufBytes().counts(0, 0), 0},
      {"a scalar", GgufBytes().counts(1, 0).tensor("s", {}, 0, 0).data(4), 1},
      {"an empty tensor", GgufBytes().counts(1, 0).tensor("e", {0, 4}, 0, 0).data(0), 1},
      {"a gap between tensors", GgufBytes().counts(2, 0).tensor("a", {1}, 0, 0).tensor("b", {1}, 0, 320).data(324), 2},
      {"tensors out of order", GgufBytes().counts(2, 0).tensor("a", {1}, 0, 32).tensor("b", {1}, 0, 0).data(36), 2},
      {"bytes after the data", GgufBytes().counts(1, 0).tensor("a", {1}, 0, 0).data(1000), 1},
      {"alignment 8", GgufBytes().counts(1, 1).key("general.alignment", 4).u32(8).tensor("a", {1}, 0, 8).data(64), 1},
      {"an empty array", GgufBytes().counts(0, 1).key("k", 9).u32(6).u64(0), 0},
  };
  for (const Case& c : cases) {
    const auto file = GgufFile::parse(file_of(c.bytes));
    ASSERT_TRUE(file.ok()) << c.name << ": " << file.status().message();
    EXPECT_EQ((*file)->tensors().size(), c.num_tensors) << c.name;
  }
}

TEST(Gguf, TensorBytesAreAlignedForTheirType) {
  // The same file at an odd address.
  const GgufBytes bytes = GgufBytes().counts(1, 0).tensor("a", {2}, 0, 0).data(8);
  const auto odd = std::make_shared<const std::string>("x" + bytes.text());
  const auto file = GgufFile::parse({"odd.gguf", as_bytes(*odd).subspan(1), odd});
  ASSERT_TRUE(file.ok()) << file.status().message();
  const WeightTensor& tensor = (*file)->tensors().front();
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor.bytes.data()) % alignof(float), 0U);
  EXPECT_EQ(tensor.bytes[7], std::byte{1});
}

TEST(GgufSplit, OpensTheSetFromAnyFile) {
  for (const char* number : {"00001", "00003"}) {
    const auto file = GgufFile::open(fixture(std::string("io/split-") + number + "-of-00004.gguf"));
    ASSERT_TRUE(file.ok()) << file.status().message();
    expect_fixture_tensors(**file);
    EXPECT_EQ((*file)->shard_paths().size(), 4U);
    EXPECT_EQ((*file)->path(), fixture("io/split-00001-of-00004.gguf"));
    EXPECT_EQ((*file)->metadata().get_string("general.architecture"), "llama");
  }
}

// A copy of the split fixture without file `skip`.
void copy_split(const TempDir& dir, int skip = 0) {
  for (int i = 1; i <= 4; ++i) {
    const std::string name = "split-0000" + std::to_string(i) + "-of-00004.gguf";
    if (i != skip) test::write_file(dir.path(name), test::read_file(fixture("io/" + name)));
  }
}

TEST(GgufSplit, NamesAMissingFile) {
  const TempDir dir;
  copy_split(dir, 3);
  const auto file = GgufFile::open(dir.path("split-00001-of-00004.gguf"));
  EXPECT_EQ(file.status().code(), StatusCode::kNotFound);
  EXPECT_EQ(file.status().message(),
            dir.path("split-00003-of-00004.gguf") + ": No such file or directory (file 3 of a split model of 4)");
}

TEST(GgufSplit, RefusesFilesThatDoNotBelong) {
  const TempDir dir;
  copy_split(dir);
  const std::string second = test::read_file(dir.path("split-00002-of-00004.gguf"));
  test::write_file(dir.path("split-00003-of-00004.gguf"), second);
  const auto repeated = GgufFile::open(dir.path("split-00001-of-00004.gguf"));
  EXPECT_EQ(repeated.status().message(),
            dir.path("split-00003-of-00004.gguf") + ": split.no is 1, but the file's name makes it 2");

  test::write_file(dir.path("split-00003-of-00004.gguf"), test::read_file(fixture("io/types.gguf")));
  const auto whole = GgufFile::open(dir.path("split-00001-of-00004.gguf"));
  EXPECT_EQ(whole.status().message(),
            dir.path("split-00003-of-00004.gguf") + ": split.count is 0, but the file belongs to a set of 4");

  test::write_file(dir.path("renamed.gguf"), second);
  const auto renamed = GgufFile::open(dir.path("renamed.gguf"));
  EXPECT_EQ(renamed.status().message(), dir.path("renamed.gguf") +
                                            ": one of 4 files of a split model, but its name does not end in "
                                            "\"-00001-of-00004.gguf\"");
}

TEST(GgufSplit, CountsTheTensorsOfTheSet) {
  const TempDir dir;
  for (std::uint16_t i = 0; i < 2; ++i) {
    GgufBytes bytes;
    bytes.counts(1, 3).key("split.no", 2).value(i).key("split.count", 2).value(std::uint16_t{2});
    bytes.key("split.tensors.count", 5).u32(3).tensor(i == 0 ? "a" : "b", {1}, 0, 0).data(4);
    test::write_file(dir.path("m-0000" + std::to_string(i + 1) + "-of-00002.gguf"), bytes.text());
  }
  const auto file = GgufFile::open(dir.path("m-00001-of-00002.gguf"));
  EXPECT_EQ(file.status().message(),
            dir.path("m-00001-of-00002.gguf") + ": split.tensors.count is 3, but the 2 files hold 2 tensors");
}

}  // namespace
}  // namespace mlxr
