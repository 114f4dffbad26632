#include "core/io/hf_folder.h"

#include <filesystem>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/io/json_file.h"
#include "tests/support/paths.h"
#include "tests/support/temp_dir.h"

namespace mlxr {
namespace {

using test::fixture;
using test::TempDir;

// A folder with the sharded fixture's files.
void copy_sharded(const TempDir& dir) {
  for (const auto& entry : std::filesystem::directory_iterator(fixture("io/sharded"))) {
    test::write_file(dir.path(entry.path().filename().string()), test::read_file(entry.path().string()));
  }
}

// A folder with a config and one file of weights under any name.
void make_single(const TempDir& dir, const char* name = "model.safetensors") {
  test::write_file(dir.path("config.json"), R"({"model_type": "llama"})");
  test::write_file(dir.path(name), test::read_file(fixture("io/types.safetensors")));
}

TEST(HfFolder, OpensShards) {
  const auto folder = HfFolder::open(fixture("io/sharded"));
  ASSERT_TRUE(folder.ok()) << folder.status().message();
  EXPECT_EQ((*folder)->weight_paths().size(), 2U);
  EXPECT_EQ((*folder)->tensors().size(), 3U);
  ASSERT_NE((*folder)->find("lm_head.weight"), nullptr);
  EXPECT_EQ((*folder)->find("lm_head.weight")->shape, Shape({4, 8}));
  EXPECT_EQ(*json_string((*folder)->config(), "model_type", "c"), "llama");
  EXPECT_TRUE((*folder)->generation_config().is_null());
  EXPECT_TRUE((*folder)->tokenizer_config().is_null());
  EXPECT_EQ((*folder)->tokenizer_path(), std::nullopt);
  EXPECT_EQ((*folder)->chat_template(), nullptr);
}

TEST(HfFolder, OpensASingleFileOfAnyName) {
  for (const char* name : {"model.safetensors", "weights.safetensors"}) {
    const TempDir dir;
    make_single(dir, name);
    const auto folder = HfFolder::open(dir.path());
    ASSERT_TRUE(folder.ok()) << folder.status().message();
    EXPECT_NE((*folder)->find("a.weight"), nullptr);
  }
}

TEST(HfFolder, ReadsSideFiles) {
  const TempDir dir;
  make_single(dir);
  test::write_file(dir.path("generation_config.json"), R"({"eos_token_id": [1, 2]})");
  test::write_file(dir.path("tokenizer_config.json"), R"({"bos_token": "<s>", "chat_template": "one"})");
  test::write_file(dir.path("special_tokens_map.json"), R"({"eos_token": "</s>"})");
  test::write_file(dir.path("tokenizer.json"), "{}");
  const auto folder = HfFolder::open(dir.path());
  ASSERT_TRUE(folder.ok()) << folder.status().message();
  EXPECT_EQ((*folder)->generation_config()["eos_token_id"][1], 2);
  EXPECT_EQ((*folder)->tokenizer_config()["bos_token"], "<s>");
  EXPECT_EQ((*folder)->special_tokens_map()["eos_token"], "</s>");
  EXPECT_EQ((*folder)->tokenizer_path(), dir.path("tokenizer.json"));
  ASSERT_NE((*folder)->chat_template(), nullptr);
  EXPECT_EQ(*(*folder)->chat_template(), "one");
}

TEST(HfFolder, FindsChatTemplatesWhereverTheyAre) {
  const TempDir dir;
  make_single(dir);
  test::write_file(dir.path("tokenizer_config.json"),
                   R"({"chat_template": [{"name": "default", "template": "A"}, {"name": "tool_use", "template": "B"},
                                         {"name": "tool_use", "template": "C"}]})");
  auto folder = HfFolder::open(dir.path());
  ASSERT_TRUE(folder.ok()) << folder.status().message();
  EXPECT_EQ((*folder)->chat_templates().size(), 2U);
  EXPECT_EQ(*(*folder)->chat_template("tool_use"), "B");

  test::write_file(dir.path("chat_template.json"), R"({"chat_template": "D"})");
  folder = HfFolder::open(dir.path());
  ASSERT_TRUE(folder.ok()) << folder.status().message();
  EXPECT_EQ((*folder)->chat_templates().size(), 1U);
  EXPECT_EQ(*(*folder)->chat_template(), "D");

  test::write_file(dir.path("chat_template.jinja"), "E");
  std::filesystem::create_directory(dir.path("additional_chat_templates"));
  test::write_file(dir.path("additional_chat_templates/rag.jinja"), "F");
  folder = HfFolder::open(dir.path());
  ASSERT_TRUE(folder.ok()) << folder.status().message();
  EXPECT_EQ((*folder)->chat_templates().size(), 2U);
  EXPECT_EQ(*(*folder)->chat_template(), "E");
  EXPECT_EQ(*(*folder)->chat_template("rag"), "F");
}

TEST(HfFolder, BrokenTemplatesAreErrors) {
  const TempDir dir;
  make_single(dir);
  const std::pair<const char*, const char*> cases[] = {
      {R"({"chat_template": 5})", "field \"chat_template\" is neither a string nor a list of {name, template}"},
      {R"({"chat_template": [{"name": "a"}]})", "field \"template\" is missing (in chat_template[0])"},
      {R"({"chat_template": ["a"]})", "field \"name\" is missing (in chat_template[0])"},
  };
  for (const auto& [text, message] : cases) {
    test::write_file(dir.path("tokenizer_config.json"), text);
    EXPECT_EQ(HfFolder::open(dir.path()).status().message(), dir.path("tokenizer_config.json") + ": " + message);
  }
}

TEST(HfFolder, WeightsMayBeOptional) {
  const TempDir dir;
  test::write_file(dir.path("config.json"), "{}");
  EXPECT_TRUE(HfFolder::open(dir.path(), HfFolder::Weights::kOptional).ok());
  EXPECT_EQ(HfFolder::open(dir.path()).status().message(),
            dir.path() + ": the folder has no weights (no *.safetensors file)");
  test::write_file(dir.path("pytorch_model.bin"), "x");
  EXPECT_EQ(HfFolder::open(dir.path()).status().code(), StatusCode::kUnsupported);
  test::write_file(dir.path("a.safetensors"), "x");
  test::write_file(dir.path("b.safetensors"), "x");
  EXPECT_EQ(HfFolder::open(dir.path()).status().message(),
            dir.path() +
                ": 2 safetensors files, but neither model.safetensors nor model.safetensors.index.json to say "
                "which");
}

TEST(HfFolder, ErrorsNameTheFile) {
  const TempDir dir;
  EXPECT_EQ(HfFolder::open(dir.path()).status().message(), dir.path() + ": the folder has no config.json");
  test::write_file(dir.path("config.json"), "[]");
  EXPECT_EQ(HfFolder::open(dir.path()).status().message(), dir.path("config.json") + ": not a JSON object");
  make_single(dir);
  test::write_file(dir.path("generation_config.json"), "{");
  EXPECT_EQ(HfFolder::open(dir.path()).status().message(),
            dir.path("generation_config.json") + ": JSON ends too early, at byte 1");
}

TEST(HfFolder, MissingShardsAndTensorsAreNamed) {
  const TempDir dir;
  copy_sharded(dir);
  const std::string index = dir.path("model.safetensors.index.json");
  const std::string second = dir.path("model-00002-of-00002.safetensors");
  test::write_file(second, test::read_file(dir.path("model-00001-of-00002.safetensors")));
  auto folder = HfFolder::open(dir.path());
  EXPECT_EQ(folder.status().code(), StatusCode::kCorrupt);
  EXPECT_EQ(folder.status().message(), second + ": tensor \"lm_head.weight\" is missing, " + index + " places it here");
  std::filesystem::remove(second);
  folder = HfFolder::open(dir.path());
  EXPECT_EQ(folder.status().code(), StatusCode::kNotFound);
  EXPECT_EQ(folder.status().message(), second + ": file is missing, " + index + " names it");
}

TEST(HfFolder, AnIndexStaysInItsFolder) {
  const TempDir dir;
  copy_sharded(dir);
  const std::string index = dir.path("model.safetensors.index.json");
  for (const char* name : {"../x.safetensors", "/etc/passwd", "sub/x.safetensors", "..\\\\x.safetensors",
                           ".safetensors", "x.bin", "", "a\\u0000b.safetensors"}) {
    test::write_file(index, std::string(R"({"weight_map": {"t": ")") + name + "\"}}");
    const auto folder = HfFolder::open(dir.path());
    EXPECT_EQ(folder.status().code(), StatusCode::kInvalidArgument) << name;
    EXPECT_EQ(folder.status().message().find(index + ": weight_map entry \"t\" names "), 0U) << name;
  }
  test::write_file(index, R"({"weight_map": {"t": 5}})");
  EXPECT_EQ(HfFolder::open(dir.path()).status().message(), index + ": weight_map entry \"t\" is no file name");
  test::write_file(index, R"({"weight_map": []})");
  EXPECT_EQ(HfFolder::open(dir.path()).status().message(), index + ": field \"weight_map\" is missing or no object");
}

}  // namespace
}  // namespace mlxr
