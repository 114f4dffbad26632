#include "core/io/gguf_writer.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "core/io/gguf.h"
#include "tests/support/paths.h"
#include "tests/support/temp_dir.h"

namespace mlxr {
namespace {

using test::fixture;
using test::TempDir;

std::unique_ptr<GgufFile> open_fixture(const std::string& name) {
  auto file = GgufFile::open(fixture(name));
  EXPECT_TRUE(file.ok()) << file.status().message();
  return std::move(file).value();
}

// The gguf package of PyPI wrote the fixtures: the same content must give the same bytes.
TEST(GgufWriter, WritesTheBytesOfAnotherWriter) {
  const TempDir dir;
  for (const char* name : {"types.gguf", "aligned.gguf"}) {
    const auto file = open_fixture(std::string("io/") + name);
    const Status status = write_gguf(dir.path(name), file->metadata(), file->tensors());
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_TRUE(test::read_file(dir.path(name)) == test::read_file(fixture(std::string("io/") + name))) << name;
  }
}

TEST(GgufWriter, SplitsLikeAnotherWriter) {
  const TempDir dir;
  const auto file = open_fixture("io/split-00001-of-00004.gguf");
  GgufWriter writer(dir.path("split.gguf"), file->metadata(), {.max_shard_bytes = 1, .progress = nullptr});
  for (const WeightTensor& tensor : file->tensors()) {
    ASSERT_TRUE(writer.add_tensor(tensor.name, tensor.type, tensor.shape).ok());
  }
  for (const WeightTensor& tensor : file->tensors())
    ASSERT_TRUE(writer.write_tensor_data(tensor.bytes).ok());
  EXPECT_EQ(std::filesystem::exists(dir.path("split-00001-of-00004.gguf")), false);
  ASSERT_TRUE(writer.finish().ok());
  ASSERT_EQ(writer.paths().size(), 4U);
  EXPECT_EQ(dir.num_files(), 4U);
  for (const std::string& path : writer.paths()) {
    const std::string name = std::filesystem::path(path).filename().string();
    EXPECT_TRUE(test::read_file(path) == test::read_file(fixture("io/" + name))) << name;
  }
}

TEST(GgufWriter, ShardsFillUpToTheLimit) {
  const TempDir dir;
  GgufWriter writer(dir.path("m.gguf"), {}, {.max_shard_bytes = 256, .progress = nullptr});
  // 128 bytes each, but for one that is larger than a file may be.
  const std::size_t sizes[] = {32, 32, 32, 100, 32, 0};
  int number = 0;
  for (const std::size_t size : sizes) {
    const Shape shape({static_cast<std::int64_t>(size)});
    ASSERT_TRUE(writer.add_tensor("t" + std::to_string(number++), QuantType::kF32, shape).ok());
  }
  for (const std::size_t size : sizes) {
    const std::vector<std::byte> data(4 * size, std::byte{7});
    ASSERT_TRUE(writer.write_tensor_data(data).ok());
  }
  ASSERT_TRUE(writer.finish().ok());
  ASSERT_EQ(writer.paths().size(), 4U);  // t0 t1 | t2 | t3 | t4 t5
  const auto set = GgufFile::open(writer.paths()[1]);
  ASSERT_TRUE(set.ok()) << set.status().message();
  EXPECT_EQ((*set)->tensors().size(), 6U);
  EXPECT_EQ((*set)->find("t3")->bytes.size(), 400U);
}

TEST(GgufWriter, StreamsInPiecesAndTellsProgress) {
  const TempDir dir;
  std::vector<std::uint64_t> seen;
  GgufWriter writer(dir.path("m.gguf"), {}, {.progress = [&seen](std::uint64_t done, std::uint64_t total) {
                      EXPECT_EQ(total, 40U);
                      seen.push_back(done);
                    }});
  ASSERT_TRUE(writer.add_tensor("a", QuantType::kF32, {6}).ok());
  ASSERT_TRUE(writer.add_tensor("b", QuantType::kF16, {2, 4}).ok());
  std::vector<std::byte> data(40);
  for (std::size_t i = 0; i < data.size(); ++i)
    data[i] = static_cast<std::byte>(i);
  const std::span<const std::byte> bytes(data);
  for (const auto& [begin, count] : {std::pair{0, 10}, {10, 14}, {24, 1}, {25, 15}}) {
    ASSERT_TRUE(
        writer.write_tensor_data(bytes.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(count))).ok());
  }
  ASSERT_TRUE(writer.finish().ok());
  EXPECT_EQ(seen, (std::vector<std::uint64_t>{10, 24, 25, 40}));
  const auto file = GgufFile::open(dir.path("m.gguf"));
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_TRUE(std::equal((*file)->find("b")->bytes.begin(), (*file)->find("b")->bytes.end(), bytes.begin() + 24));
}

TEST(GgufWriter, LeavesNothingBehindUnlessFinished) {
  const TempDir dir;
  {
    GgufWriter writer(dir.path("m.gguf"), {}, {.max_shard_bytes = 4, .progress = nullptr});
    ASSERT_TRUE(writer.add_tensor("a", QuantType::kF32, {1}).ok());
    ASSERT_TRUE(writer.add_tensor("b", QuantType::kF32, {1}).ok());
    const std::vector<std::byte> data(4);
    ASSERT_TRUE(writer.write_tensor_data(data).ok());
    ASSERT_TRUE(writer.write_tensor_data(data).ok());
  }
  EXPECT_EQ(dir.num_files(), 0U);
}

TEST(GgufWriter, WritesMetadataAlone) {
  const TempDir dir;
  Metadata metadata;
  metadata.set_string("general.architecture", "llama");
  ASSERT_TRUE(write_gguf(dir.path("vocab.gguf"), metadata, {}).ok());
  const auto file = GgufFile::open(dir.path("vocab.gguf"));
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ((*file)->metadata().get_string("general.architecture"), "llama");
}

TEST(GgufWriter, RefusesWhatTheFormatCannotHold) {
  const TempDir dir;
  GgufWriter writer(dir.path("m.gguf"), {});
  const std::string prefix = dir.path("m.gguf") + ": tensor ";
  EXPECT_EQ(writer.add_tensor("a", QuantType::kU8, {1}).message(), prefix + "\"a\": type U8 does not exist in GGUF");
  EXPECT_EQ(writer.add_tensor("", QuantType::kF32, {1}).message(), prefix + "\"\": a GGUF name has 1 to 63 bytes");
  EXPECT_EQ(writer.add_tensor(std::string(64, 'x'), QuantType::kF32, {1}).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(writer.add_tensor("a", QuantType::kQ4_0, {48}).message(),
            prefix + "\"a\": shape [48] does not fit type Q4_0 (blocks of 32 elements)");
  ASSERT_TRUE(writer.add_tensor("a", QuantType::kF32, {1}).ok());
  EXPECT_EQ(writer.add_tensor("a", QuantType::kF32, {1}).message(), prefix + "\"a\" appears twice");
  for (const std::uint64_t alignment :
       {std::uint64_t{0}, std::uint64_t{4}, std::uint64_t{48}, std::uint64_t{1} << 40}) {
    Metadata metadata;
    metadata.set_uint("general.alignment", alignment);
    const Status status = write_gguf(dir.path("n.gguf"), metadata, {});
    EXPECT_EQ(status.message(), dir.path("n.gguf") + ": general.alignment is " + std::to_string(alignment) +
                                    ", not a power of two of at least 8");
  }
  EXPECT_EQ(write_gguf(dir.path("none/m.gguf"), {}, {}).code(), StatusCode::kNotFound);
  EXPECT_EQ(dir.num_files(), 0U);
}

}  // namespace
}  // namespace mlxr
