// The starter model against software that nobody here wrote: transformers in float32 (models/sprout/golden.json) for
// the bf16 originals, which are not in the repository, and llama.cpp (scripts/make_llamacpp_golden.mjs) for the file
// that ships.

#include <algorithm>
#include <cmath>
#include <filesystem>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/io/json_file.h"
#include "core/io/safetensors.h"
#include "core/runtime/convert/convert_model.h"
#include "core/runtime/loaded_model.h"
#include "tests/support/paths.h"

namespace mlxr {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr const char* kOriginal = "sprout/models/sprout-28m";
// Logits of the references and ours are float32 sums over hidden and ffn terms, eight layers deep, of values up to 20.
constexpr float kLogitTolerance = 2e-3F;

std::unique_ptr<LoadedModel> open(const std::string& path, const std::string& backend) {
  Result<std::unique_ptr<LoadedModel>> model = LoadedModel::open(path, {.backend = backend, .num_threads = 2});
  if (!model.ok()) {
    ADD_FAILURE() << model.status().message();
    return nullptr;
  }
  return std::move(model).value();
}

// The original, or a copy of it with every tensor in f32.
std::string original(const std::string& folder, const std::string& type) {
  if (type == "bf16") return folder;
  const std::string out = testing::TempDir() + "sprout-28m-f32";
  ThreadPool pool({.num_threads = 2});
  const auto report = convert_model(folder, out, pool, {.mix = *find_quant_mix("F32")});
  EXPECT_TRUE(report.ok()) << report.status().message();
  return out;
}

// Logits of the last row after each piece.
std::vector<float> feed(LoadedModel& model, SequenceId sequence, std::span<const TokenId> ids, RowsWanted wanted) {
  const SequencePiece piece{sequence, ids, wanted};
  std::vector<float> logits;
  const Status status = model.runner().run({&piece, 1}, logits);
  EXPECT_TRUE(status.ok()) << status.message();
  return logits;
}

// Follows the reference's own choices, and holds ours against each that was clear enough.
void expect_greedy(LoadedModel& model, std::span<const TokenId> prompt, std::span<const TokenId> greedy,
                   std::span<const float> margins, float bound) {
  const SequenceId sequence = *model.cache().open();
  std::vector<float> row = feed(model, sequence, prompt, RowsWanted::kLast);
  for (std::size_t i = 0; i < greedy.size(); ++i) {
    const auto best = static_cast<TokenId>(std::max_element(row.begin(), row.end()) - row.begin());
    if (margins[i] > bound) {
      ASSERT_EQ(best, greedy[i]) << "token " << i << ", margin " << margins[i];
    }
    row = feed(model, sequence, greedy.subspan(i, 1), RowsWanted::kLast);
  }
  model.cache().close(sequence);
}

class SproutOriginal : public testing::TestWithParam<std::tuple<std::string, std::string>> {
 protected:
  void SetUp() override {
    const auto folder = test::shared(kOriginal);
    if (!folder) GTEST_SKIP() << "the bf16 original is not here";
    folder_ = *folder;
    model_ = open(original(folder_, std::get<0>(GetParam())), std::get<1>(GetParam()));
    ASSERT_NE(model_, nullptr);
    golden_ = std::move(read_json_file(test::sprout("golden.json"))).value();
  }

  std::string folder_;
  std::unique_ptr<LoadedModel> model_;
  json golden_;
};

TEST_P(SproutOriginal, GreedyTextIsThatOfTransformers) {
  for (const json& golden : golden_["cases"]) {
    const auto ids = golden["ids"].get<std::vector<TokenId>>();
    // The reference backend computes on one thread in plain loops: the short cases say enough.
    if (std::get<1>(GetParam()) == "reference" && ids.size() > 20) continue;
    SCOPED_TRACE(golden["text"].get<std::string>().substr(0, 60));
    const auto greedy = golden["greedy"].get<std::vector<TokenId>>();
    const std::size_t steps =
        std::get<1>(GetParam()) == "reference" ? std::min<std::size_t>(greedy.size(), 12) : greedy.size();
    expect_greedy(*model_, ids, std::span(greedy).first(steps), golden["greedy_margin"].get<std::vector<float>>(),
                  2 * kLogitTolerance);
  }
}

TEST_P(SproutOriginal, LogitsAreThoseOfTransformers) {
  const auto file = std::move(SafetensorsFile::open(folder_ + "/golden.safetensors")).value();
  const WeightTensor* ids_tensor = file->find("ids");
  std::vector<TokenId> ids;
  for (std::size_t i = 0; i < ids_tensor->bytes.size(); i += sizeof(std::int64_t)) {
    std::int64_t id = 0;
    std::memcpy(&id, ids_tensor->bytes.data() + i, sizeof(id));
    ids.push_back(static_cast<TokenId>(id));
  }
  const WeightTensor* tensor = file->find("logits");  // of the last 32 tokens
  std::vector<float> expected(static_cast<std::size_t>(tensor->shape.num_elements()));
  decode_row(tensor->type, tensor->bytes, expected);

  const SequenceId sequence = *model_->cache().open();
  const std::vector<float> all = feed(*model_, sequence, ids, RowsWanted::kAll);
  const auto last = std::span(all).last(expected.size());
  float worst = 0.0F;
  for (std::size_t i = 0; i < expected.size(); ++i)
    worst = std::max(worst, std::abs(last[i] - expected[i]));
  EXPECT_LT(worst, kLogitTolerance);

  for (const std::size_t chunk : {std::size_t{1}, std::size_t{33}}) {
    model_->cache().truncate(sequence, 0);
    std::vector<float> pieces;
    for (std::size_t start = 0; start < ids.size(); start += chunk) {
      const auto part = std::span(ids).subspan(start, std::min(chunk, ids.size() - start));
      const std::vector<float> rows = feed(*model_, sequence, part, RowsWanted::kAll);
      pieces.insert(pieces.end(), rows.begin(), rows.end());
    }
    EXPECT_EQ(pieces, all) << "chunks of " << chunk << " give other bits than one prefill";
  }
}

INSTANTIATE_TEST_SUITE_P(Originals, SproutOriginal,
                         testing::Combine(testing::Values("bf16", "f32"), testing::Values("cpu", "reference")),
                         [](const auto& parameters) {
                           return std::get<0>(parameters.param) + "_" + std::get<1>(parameters.param);
                         });

TEST(SproutShipped, PromptsHaveTheIdsOfTransformers) {
  const auto model = open(test::sprout("sprout-28m-q5_k_m.gguf"), "cpu");
  ASSERT_NE(model, nullptr);
  ASSERT_NE(model->chat_prompt(), nullptr);
  const Result<std::string> text = read_text_file(test::sprout("golden.json"));
  const ordered_json golden = ordered_json::parse(*text);
  for (const ordered_json& row : golden["cases"]) {
    std::string prompt = row["text"];
    if (row.contains("messages")) {
      ChatRequest request{.messages = row["messages"], .tools = row.value("tools", ordered_json())};
      const Result<std::string> rendered = model->chat_prompt()->render(request);
      ASSERT_TRUE(rendered.ok()) << rendered.status().message();
      // The file keeps a case's text, not its tools.
      if (prompt.find("<tools>") == std::string::npos) {
        EXPECT_EQ(*rendered, prompt);
      }
    }
    EXPECT_EQ(model->tokenizer()->encode(prompt), row["ids"].get<std::vector<TokenId>>());
  }
}

TEST(SproutShipped, GreedyTextIsThatOfLlamaCpp) {
  const auto model = open(test::sprout("sprout-28m-q5_k_m.gguf"), "cpu");
  ASSERT_NE(model, nullptr);
  const json golden = std::move(read_json_file(test::fixture("sprout/llamacpp.json"))).value();
  // llama.cpp rounds activations to 8 bits in blocks of 256: its margins are 0.25 (root mean square) from those of
  // exact arithmetic on this file, ours 0.1. Three times that is beyond both.
  constexpr float kActivationError = 0.75F;
  for (const json& row : golden["cases"]) {
    expect_greedy(*model, row["ids"].get<std::vector<TokenId>>(), row["greedy"].get<std::vector<TokenId>>(),
                  row["margins"].get<std::vector<float>>(), kActivationError);
  }
}

}  // namespace
}  // namespace mlxr
