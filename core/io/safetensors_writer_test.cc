#include "core/io/safetensors_writer.h"

#include <gtest/gtest.h>

#include "core/io/hf_folder.h"
#include "core/io/safetensors.h"
#include "tests/support/paths.h"
#include "tests/support/temp_dir.h"

namespace mlxr {
namespace {

using test::TempDir;

void expect_same_tensors(const WeightSource& a, const WeightSource& b) {
  ASSERT_EQ(a.tensors().size(), b.tensors().size());
  for (const WeightTensor& tensor : a.tensors()) {
    const WeightTensor* other = b.find(tensor.name);
    ASSERT_NE(other, nullptr) << tensor.name;
    EXPECT_EQ(tensor.type, other->type) << tensor.name;
    EXPECT_EQ(tensor.shape, other->shape) << tensor.name;
    EXPECT_TRUE(std::equal(tensor.bytes.begin(), tensor.bytes.end(), other->bytes.begin(), other->bytes.end()));
  }
}

TEST(SafetensorsWriter, RoundTrip) {
  const TempDir dir;
  const auto file = SafetensorsFile::open(test::fixture("io/types.safetensors"));
  ASSERT_TRUE(file.ok()) << file.status().message();
  const Status status = write_safetensors(dir.path("x.safetensors"), (*file)->tensors(), (*file)->metadata());
  ASSERT_TRUE(status.ok()) << status.message();
  const auto again = SafetensorsFile::open(dir.path("x.safetensors"));
  ASSERT_TRUE(again.ok()) << again.status().message();
  expect_same_tensors(**file, **again);
  EXPECT_EQ((*again)->metadata(), (*file)->metadata());
  EXPECT_EQ((*again)->data_offset() % 8, 0U);
}

TEST(SafetensorsWriter, ShardsMakeAFolderThatOpens) {
  const TempDir dir;
  const auto folder = HfFolder::open(test::fixture("io/sharded"));
  ASSERT_TRUE(folder.ok()) << folder.status().message();
  SafetensorsWriter writer(dir.path("model.safetensors"), {{"format", "pt"}},
                           {.max_shard_bytes = 160, .progress = nullptr});
  for (const WeightTensor& tensor : (*folder)->tensors()) {
    ASSERT_TRUE(writer.add_tensor(tensor.name, tensor.type, tensor.shape).ok());
  }
  for (const WeightTensor& tensor : (*folder)->tensors()) {
    ASSERT_TRUE(writer.write_tensor_data(tensor.bytes).ok());
  }
  ASSERT_TRUE(writer.finish().ok());
  EXPECT_EQ(writer.paths().size(), 2U);
  EXPECT_EQ(dir.num_files(), 3U);
  // transformers' own index of the same tensors.
  EXPECT_EQ(test::read_file(dir.path("model.safetensors.index.json")),
            test::read_file(test::fixture("io/sharded/model.safetensors.index.json")));
  test::write_file(dir.path("config.json"), "{}");
  const auto again = HfFolder::open(dir.path());
  ASSERT_TRUE(again.ok()) << again.status().message();
  expect_same_tensors(**folder, **again);
}

TEST(SafetensorsWriter, RefusesWhatTheFormatCannotHold) {
  const TempDir dir;
  SafetensorsWriter writer(dir.path("x.safetensors"));
  const std::string prefix = dir.path("x.safetensors") + ": tensor ";
  EXPECT_EQ(writer.add_tensor("a", QuantType::kQ8_0, {32}).message(),
            prefix + "\"a\": type Q8_0 does not exist in safetensors");
  EXPECT_EQ(writer.add_tensor("__metadata__", QuantType::kF32, {1}).message(),
            prefix + "\"__metadata__\": the name is reserved");
  ASSERT_TRUE(writer.add_tensor("\xff", QuantType::kF32, {0}).ok());
  EXPECT_EQ(writer.finish().message(), dir.path("x.safetensors") + ": a tensor name or metadata string is not UTF-8");
  EXPECT_EQ(dir.num_files(), 0U);
}

}  // namespace
}  // namespace mlxr
