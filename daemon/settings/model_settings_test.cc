#include "daemon/settings/model_settings.h"

#include <gtest/gtest.h>

#include "tests/support/temp_dir.h"

namespace mlxr {
namespace {

TEST(ModelSettings, ReadsAll) {
  const auto model = parse_model_settings(
      "model: qwen3:8b\ncontext_length: 16384\nkv_type: q8_0\nkv_tokens: 65536\nkeep_alive: -1\npin: true\n"
      "speculate: no\ndraft_model: qwen3:0.6b\nchat_template_file: t.jinja\nsystem: |\n  Be brief.\nmax_tokens: 100\n"
      "stop: [\"a, b\", c]\nsampling:\n  temperature: 0.2\n  top_k: 10\n  seed: 7\n  samplers: [top_k, temperature]\n",
      "/etc/models/x.yaml");
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->model, "qwen3:8b");
  EXPECT_EQ(model->context_length, 16384);
  EXPECT_EQ(model->kv_type, "q8_0");
  EXPECT_EQ(model->keep_alive, kForever);
  EXPECT_EQ(model->pin, true);
  EXPECT_EQ(model->speculate, false);
  EXPECT_EQ(model->chat_template_file, "/etc/models/t.jinja");
  EXPECT_EQ(model->system, "Be brief.\n");
  EXPECT_EQ(model->stop, (std::vector<std::string>{"a, b", "c"}));
  EXPECT_EQ(model->sampling.temperature, 0.2F);
  EXPECT_EQ(model->sampling.top_k, 10);
  EXPECT_EQ(model->sampling.seed, 7U);
  EXPECT_FALSE(model->sampling.top_p.has_value());
  EXPECT_EQ(parse_model_settings("", "/etc/models/y.yaml")->model, "y");
}

TEST(ModelSettings, Refuses) {
  struct Case {
    const char* text;
    const char* error;
  };
  const Case cases[] = {
      {"contxt_length: 1\n", "f.yaml:1: there is no key \"contxt_length\"; did you mean \"context_length\"?"},
      {"context_length: -1\n", "f.yaml:1: context_length: -1 is not between 0 and 1073741824 tokens"},
      {"kv_type: x\n", "f.yaml:1: kv_type: \"x\" is not one of auto, f32, f16, bf16, q8_0, q4_0, fp8_e4m3"},
      {"pin: 3\n", "f.yaml:1: pin: \"3\" is neither true nor false"},
      {"keep_alive: soon\n", "f.yaml:1: keep_alive: \"soon\" is not a duration, such as 30s, 5m, 1h30m or -1 for ever"},
      {"stop: {a: b}\n", "f.yaml:1: stop: is not a list"},
      {"stop: [\"\"]\n", "f.yaml:1: stop: an item of the list is empty"},
      {"system: [a]\n", "f.yaml:1: system: is not a text"},
      {"max_tokens: -2\n", "f.yaml:1: max_tokens: is less than -1"},
      {"sampling: 3\n", "f.yaml:1: sampling: is not a mapping of keys to values"},
      {"sampling:\n  temprature: 1\n",
       "f.yaml:2: sampling: there is no key \"temprature\"; did you mean \"temperature\"?"},
      {"sampling:\n  top_k: 99999999999\n", "f.yaml:2: sampling: 99999999999 is out of range"},
      {"[a]\n", "f.yaml:1: is not a mapping of keys to values"},
  };
  for (const Case& c : cases) {
    const auto model = parse_model_settings(c.text, "f.yaml");
    EXPECT_FALSE(model.ok()) << c.text;
    EXPECT_EQ(model.status().message(), c.error);
  }
  const auto range = parse_model_settings("sampling:\n  top_p: 7\n", "f.yaml");
  ASSERT_FALSE(range.ok());
  EXPECT_TRUE(range.status().message().starts_with("f.yaml:2: sampling: ")) << range.status().message();
}

TEST(ModelSettingsFolder, NearestNameWins) {
  const test::TempDir folder;
  test::write_file(folder.path("a.yaml"), "model: \"*\"\nmax_tokens: 1\n");
  test::write_file(folder.path("b.yaml"), "model: qwen3:*\nmax_tokens: 2\n");
  test::write_file(folder.path("qwen3.yaml"), "max_tokens: 3\n");
  test::write_file(folder.path("notes.txt"), "no yaml: [\n");
  const auto loaded = ModelSettingsFolder::load(folder.path());
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_EQ(loaded->all().size(), 3U);
  EXPECT_EQ(loaded->find("llama")->max_tokens, 1);
  EXPECT_EQ(loaded->find("qwen3:8b")->max_tokens, 2);
  EXPECT_EQ(loaded->find("Qwen3")->max_tokens, 3);
  EXPECT_EQ(loaded->find("qwen3:latest")->max_tokens, 3);
  test::write_file(folder.path("z.yaml"), "model: QWEN3:latest\n");
  EXPECT_EQ(
      ModelSettingsFolder::load(folder.path()).status().message(),
      folder.path("z.yaml") + ": the model \"QWEN3:latest\" has settings in " + folder.path("qwen3.yaml") + " too");
  EXPECT_TRUE(ModelSettingsFolder::load(folder.path("absent"))->all().empty());
  EXPECT_EQ(ModelSettingsFolder::load(folder.path("absent"))->find("x"), nullptr);
}

TEST(ModelSettingsFolder, TheExamplesAreRight) {
  const auto loaded = ModelSettingsFolder::load(MLXR_SOURCE_DIR "/configs/models");
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  ASSERT_NE(loaded->find("sprout"), nullptr);
  EXPECT_EQ(loaded->find("sprout")->sampling.temperature, 0.7F);
}

}  // namespace
}  // namespace mlxr
