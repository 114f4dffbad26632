// Perplexity against llama.cpp on the repository's own text, and against transformers on held-out text that is not in
// the repository (skipped without it).

#include "core/runtime/perplexity.h"

#include <cmath>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/io/json_file.h"
#include "tests/support/paths.h"

namespace mlxr {
namespace {

std::unique_ptr<LoadedModel> open(const std::string& path, std::int64_t context) {
  Result<std::unique_ptr<LoadedModel>> model = LoadedModel::open(path, {.num_threads = 2, .context = context});
  EXPECT_TRUE(model.ok()) << model.status().message();
  return model.ok() ? std::move(model).value() : nullptr;
}

TEST(Perplexity, OfTheDraftModelIsThatOfLlamaCpp) {
  const nlohmann::json golden = std::move(read_json_file(test::fixture("text/llamacpp.json"))).value();
  const std::int64_t context = golden["context"];
  const auto model = open(test::sprout("sprout-draft-3m-q8_0.gguf"), context);
  ASSERT_NE(model, nullptr);
  const Result<std::string> text = read_text_file(test::fixture("text/prose.txt"));
  const std::vector<TokenId> tokens = model->tokenizer()->encode(*text, {.parse_special = false});
  EXPECT_EQ(tokens.size(), golden["tokens"].get<std::size_t>());
  const auto result = measure_perplexity(*model, tokens, {.context = context}, nullptr);
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(result->tokens, golden["scored"].get<std::int64_t>());
  // Both round activations to 8 bits, an error of 0.4 % of each value at most, in blocks of their own.
  const double expected = golden["perplexity"];
  EXPECT_NEAR(result->perplexity, expected, 0.005 * expected);
}

// models/sprout/golden.json: the first 16384 tokens in windows of 1024, all but the first token of each scored.
TEST(Perplexity, OfTheOriginalIsThatOfTransformers) {
  const auto folder = test::shared("sprout/models/sprout-28m");
  const auto path = test::shared("data/text/val.txt");
  if (!folder || !path) GTEST_SKIP() << "the bf16 original and the held-out text are not here";
  const nlohmann::json golden = std::move(read_json_file(test::sprout("golden.json"))).value();
  const auto model = open(*folder, 1024);
  ASSERT_NE(model, nullptr);
  const std::vector<TokenId> tokens = model->tokenizer()->encode(*read_text_file(*path));
  const SequenceId sequence = *model->cache().open();
  const auto vocab = static_cast<std::size_t>(model->model().config().vocab_size);
  constexpr std::size_t kWindow = 1024;
  constexpr std::size_t kWindows = 16;
  double sum = 0.0;
  for (std::size_t w = 0; w < kWindows; ++w) {
    model->cache().truncate(sequence, 0);
    const auto window = std::span(tokens).subspan(w * kWindow, kWindow);
    const SequencePiece piece{sequence, window, RowsWanted::kAll};
    std::vector<float> logits;
    ASSERT_TRUE(model->runner().run({&piece, 1}, logits).ok());
    for (std::size_t i = 0; i + 1 < kWindow; ++i) {
      sum += negative_log_likelihood(std::span(logits).subspan(i * vocab, vocab), window[i + 1]);
    }
  }
  const double expected = golden["perplexity_val_16k"];
  // The weights are the same bits and both compute in float32.
  EXPECT_NEAR(std::exp(sum / (kWindows * (kWindow - 1.0))), expected, 1e-5 * expected);
}

TEST(Perplexity, RefusesWhatItCannotMeasure) {
  const auto model = open(test::sprout("sprout-draft-3m-q8_0.gguf"), 128);
  ASSERT_NE(model, nullptr);
  const std::vector<TokenId> tokens(64, 7);
  EXPECT_EQ(measure_perplexity(*model, tokens, {.context = 65}, nullptr).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(measure_perplexity(*model, tokens, {.context = 2}, nullptr).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(measure_perplexity(*model, tokens, {.context = 256}, nullptr).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_TRUE(measure_perplexity(*model, tokens, {.context = 64}, nullptr).ok());
}

TEST(Perplexity, OfOneTokenIsItsLikelihood) {
  const float logits[] = {0.0F, std::log(3.0F), -std::numeric_limits<float>::infinity()};
  EXPECT_NEAR(negative_log_likelihood(logits, 1), std::log(4.0 / 3.0), 1e-6);
  EXPECT_NEAR(negative_log_likelihood(logits, 0), std::log(4.0), 1e-6);
}

}  // namespace
}  // namespace mlxr
