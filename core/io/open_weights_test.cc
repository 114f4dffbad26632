#include "core/io/open_weights.h"

#include <gtest/gtest.h>

#include "core/io/gguf.h"
#include "core/io/hf_folder.h"
#include "core/io/safetensors.h"
#include "core/io/shard_name.h"
#include "tests/support/paths.h"
#include "tests/support/temp_dir.h"

namespace mlxr {
namespace {

using test::fixture;
using test::TempDir;

TEST(OpenWeights, DecidesByContent) {
  const TempDir dir;
  test::write_file(dir.path("weights.bin"), test::read_file(fixture("io/types.gguf")));
  test::write_file(dir.path("weights.gguf"), test::read_file(fixture("io/types.safetensors")));
  const auto gguf = open_weights(dir.path("weights.bin"));
  ASSERT_TRUE(gguf.ok()) << gguf.status().message();
  EXPECT_NE(dynamic_cast<const GgufFile*>(gguf->get()), nullptr);
  const auto safetensors = open_weights(dir.path("weights.gguf"));
  ASSERT_TRUE(safetensors.ok()) << safetensors.status().message();
  EXPECT_NE(dynamic_cast<const SafetensorsFile*>(safetensors->get()), nullptr);
  const auto folder = open_weights(fixture("io/sharded"));
  ASSERT_TRUE(folder.ok()) << folder.status().message();
  EXPECT_NE(dynamic_cast<const HfFolder*>(folder->get()), nullptr);
  const auto split = open_weights(fixture("io/split-00002-of-00004.gguf"));
  ASSERT_TRUE(split.ok()) << split.status().message();
  EXPECT_EQ((*split)->tensors().size(), 4U);
}

TEST(OpenWeights, SaysWhatElseAFileIs) {
  const TempDir dir;
  const std::string path = dir.path("model.gguf");
  const std::pair<std::string, const char*> cases[] = {
      {"", "the file is empty"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n",
       "a Git LFS pointer, not the file itself: run \"git lfs pull\" in its repository"},
      {"\n <!DOCTYPE html><html>", "a web page, not a model: the download went to a page about the file"},
      {"<HTML>", "a web page, not a model: the download went to a page about the file"},
      {"PK\x03\x04rest", "a PyTorch pickle or zip archive, convert it to safetensors"},
      {"\x80\x02rest", "a PyTorch pickle or zip archive, convert it to safetensors"},
      {"tjggrest", "a GGML file from before GGUF, convert the model again"},
      {"hello world", "neither GGUF nor safetensors (starts with \"hello wo\")"},
      {std::string("\0\1\2", 3), "neither GGUF nor safetensors (starts with \"\\x00\\x01\\x02\")"},
  };
  for (const auto& [content, message] : cases) {
    test::write_file(path, content);
    EXPECT_EQ(open_weights(path).status().message(), path + ": " + message);
  }
  EXPECT_EQ(open_weights(dir.path("none")).status().code(), StatusCode::kNotFound);
}

TEST(ShardName, RoundTripAndRefusals) {
  const auto name = parse_shard_name("a/b-00002-of-00010.gguf", ".gguf");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->prefix, "a/b");
  EXPECT_EQ(name->number, 2U);
  EXPECT_EQ(name->count, 10U);
  EXPECT_EQ(shard_name(*name, ".gguf"), "a/b-00002-of-00010.gguf");
  for (const char* other : {"b.gguf", "b-00000-of-00010.gguf", "b-00011-of-00010.gguf", "b-0001-of-0010.gguf",
                            "b-0000a-of-00010.gguf", "b-00001-to-00010.gguf", "b-00001-of-00010.bin", ".gguf"}) {
    EXPECT_FALSE(parse_shard_name(other, ".gguf")) << other;
  }
}

}  // namespace
}  // namespace mlxr
