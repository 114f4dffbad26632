#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/models/config_reader.h"

namespace mlxr {
namespace {

nlohmann::json valid_json() {
  return {{"vocab_size", 32},         {"hidden_size", 64},        {"num_hidden_layers", 2},
          {"num_attention_heads", 4}, {"num_key_value_heads", 2}, {"intermediate_size", 96},
          {"rms_norm_eps", 1e-5},     {"rope_theta", 10000.0},    {"max_position_embeddings", 128}};
}

Status read(const nlohmann::json& json) {
  const Result<ModelConfig> config = read_hugging_face_config(json, "llama", "folder");
  return config.ok() ? config->validate() : config.status();
}

TEST(ModelConfig, ReadsPlainFields) {
  const ModelConfig config = *read_hugging_face_config(valid_json(), "llama", "folder");
  EXPECT_TRUE(config.validate().ok());
  EXPECT_EQ(config.head_dim, 16);
  EXPECT_EQ(config.rope.dim, 16);
  EXPECT_EQ(config.sliding_window, 0);
}

struct BadField {
  const char* field;
  nlohmann::json value;
  const char* message;  // a part of the error
};

TEST(ModelConfig, RefusesLyingFields) {
  const BadField cases[] = {
      {"vocab_size", -1, "vocab_size"},
      {"hidden_size", 1LL << 40, "hidden_size"},
      {"num_hidden_layers", 0, "num_layers"},
      {"num_hidden_layers", "two", "num_hidden_layers"},
      {"num_attention_heads", 0, "num_heads"},
      {"num_key_value_heads", 3, "multiple"},
      {"head_dim", 15, "even"},
      {"rms_norm_eps", -1.0, "norm_eps"},
      {"rope_theta", 0.0, "base"},
      {"hidden_act", "tan", "hidden_act"},
      {"rope_scaling", 3, "rope_scaling"},
      {"rope_scaling", {{"type", "spiral"}}, "spiral"},
      {"rope_scaling", {{"type", "linear"}, {"factor", 0.0}}, "factor"},
      {"rope_scaling",
       {{"type", "llama3"}, {"factor", 8.0}, {"low_freq_factor", 4.0}, {"high_freq_factor", 4.0}},
       "low_freq"},
      {"quantization_config", {{"quant_method", "gptq"}}, "quantised"},
  };
  for (const BadField& bad : cases) {
    nlohmann::json json = valid_json();
    json[bad.field] = bad.value;
    const Status status = read(json);
    EXPECT_FALSE(status.ok()) << bad.field;
    EXPECT_NE(status.message().find(bad.message), std::string::npos) << status.message();
  }
}

TEST(ModelConfig, SurvivesGgufMetadata) {
  nlohmann::json json = valid_json();
  json["rope_scaling"] = {{"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 32}};
  const ModelConfig config = *read_hugging_face_config(json, "llama", "folder");
  Metadata metadata("file");
  write_gguf_config(config, metadata);
  const Result<ModelConfig> back = read_gguf_config(metadata, "llama");
  ASSERT_TRUE(back.ok()) << back.status().message();
  EXPECT_EQ(back->hidden_size, config.hidden_size);
  EXPECT_EQ(back->num_kv_heads, config.num_kv_heads);
  EXPECT_EQ(back->norm_eps, config.norm_eps);
  EXPECT_EQ(back->rope.scaling, RopeScaling::kYarn);
  EXPECT_EQ(rope_inv_freq(back->rope, 0), rope_inv_freq(config.rope, 0));
  EXPECT_EQ(rope_magnitude(back->rope), rope_magnitude(config.rope));
}

TEST(ModelConfig, MistralHasAWindowUnlessItSaysNull) {
  nlohmann::json json = valid_json();
  json["model_type"] = "mistral";
  EXPECT_EQ(read_hugging_face_config(json, "llama", "folder")->sliding_window, 4096);
  json["sliding_window"] = nullptr;
  EXPECT_EQ(read_hugging_face_config(json, "llama", "folder")->sliding_window, 0);
  json["sliding_window"] = 16;
  EXPECT_EQ(read_hugging_face_config(json, "llama", "folder")->sliding_window, 16);
}

}  // namespace
}  // namespace mlxr
