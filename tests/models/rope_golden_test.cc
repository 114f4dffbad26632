// Every rope scaling against the functions of transformers (scripts/make_rope_golden.py), read through the same
// config.json fields that a model has.

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/io/json_file.h"
#include "core/models/config_reader.h"
#include "tests/support/paths.h"

namespace mlxr {
namespace {

nlohmann::json config_json(const nlohmann::json& golden) {
  nlohmann::json scaling = golden["parameters"];
  scaling["rope_type"] = golden["type"];
  scaling["rope_theta"] = golden["theta"];
  return {{"vocab_size", 32},         {"hidden_size", 64},          {"num_hidden_layers", 1},
          {"num_attention_heads", 1}, {"intermediate_size", 64},    {"head_dim", golden["dim"]},
          {"rms_norm_eps", 1e-5},     {"rope_parameters", scaling}, {"max_position_embeddings", golden["context"]}};
}

TEST(RopeGolden, FrequenciesAgreeWithTransformers) {
  const nlohmann::json cases = *read_json_file(test::fixture("rope/golden.json"));
  ASSERT_FALSE(cases.empty());
  for (const nlohmann::json& golden : cases) {
    SCOPED_TRACE(golden["type"].get<std::string>() + " of dimension " + golden["dim"].dump());
    const Result<ModelConfig> config = read_hugging_face_config(config_json(golden), "llama", "golden");
    ASSERT_TRUE(config.ok()) << config.status().message();
    ASSERT_TRUE(config->validate().ok()) << config->validate().message();
    const std::vector<float> actual = rope_inv_freq(config->rope, golden.value("length", 0));
    const auto expected = golden["inv_freq"].get<std::vector<float>>();
    ASSERT_EQ(actual.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      // A power, a division and the scaling's few operations, each within an ulp or two.
      EXPECT_NEAR(actual[i], expected[i], 8 * 0x1p-23F * expected[i]) << "frequency " << i;
    }
    EXPECT_NEAR(rope_magnitude(config->rope), golden["magnitude"].get<float>(), 0x1p-22F);
  }
}

TEST(RopeGolden, FrequencyFactorsGiveTheScaledFrequencies) {
  const nlohmann::json cases = *read_json_file(test::fixture("rope/golden.json"));
  for (const nlohmann::json& golden : cases) {
    if (golden["type"] != "llama3") continue;
    const ModelConfig config = *read_hugging_face_config(config_json(golden), "llama", "golden");
    RopeConfig stored = config.rope;
    stored.scaling = RopeScaling::kNone;
    stored.freq_factors = rope_freq_factors(config.rope);
    const std::vector<float> actual = rope_inv_freq(stored, 0);
    const std::vector<float> expected = rope_inv_freq(config.rope, 0);
    for (std::size_t i = 0; i < expected.size(); ++i)
      EXPECT_NEAR(actual[i], expected[i], 0x1p-22F * expected[i]);
  }
}

}  // namespace
}  // namespace mlxr
