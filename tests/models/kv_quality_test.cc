// What the types of the KV cache cost in quality: perplexity of the starter models on the repository's own text.

#include <cmath>

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "core/io/json_file.h"
#include "core/io/open_weights.h"
#include "core/kernels/cpu/cpu_backend.h"
#include "core/models/architecture.h"
#include "core/runtime/kv/single_sequence_kv.h"
#include "core/runtime/perplexity.h"
#include "core/runtime/step_runner.h"
#include "core/runtime/tokenizer/load_tokenizer.h"
#include "tests/support/paths.h"

namespace mlxr {
namespace {

constexpr std::int64_t kBlockTokens = 32;
constexpr std::size_t kWindow = 512;
constexpr std::size_t kMaxWindows = 6;

class KvQuality : public testing::Test {
 protected:
  void open(const std::string& path) {
    source_ = std::move(open_weights(path)).value();
    backend_ = std::move(make_cpu_backend({.num_threads = 2})).value();
    model_ = std::move(std::move(load_model(*source_, *backend_)).value().model);
    const auto tokenizer = std::move(load_tokenizer(path)).value();
    tokens_ = tokenizer->encode(*read_text_file(test::fixture("text/prose.txt")), {.parse_special = false});
    ASSERT_GE(tokens_.size(), kWindow);
  }

  double perplexity(KvType type, bool rotate = true) {
    const std::int64_t num_blocks = static_cast<std::int64_t>(kWindow) / kBlockTokens;
    const auto storage = std::move(backend_->make_kv_storage({.layers = model_->kv_layers(),
                                                              .num_blocks = {num_blocks},
                                                              .block_tokens = kBlockTokens,
                                                              .type = type,
                                                              .rotate = rotate}))
                             .value();
    SingleSequenceKv cache(num_blocks, kBlockTokens);
    StepRunner runner(*model_, *backend_, cache, *storage);
    const SequenceId sequence = *cache.open();
    const auto vocab = static_cast<std::size_t>(model_->config().vocab_size);
    double sum = 0;
    std::size_t count = 0;
    for (std::size_t w = 0; w < std::min(kMaxWindows, tokens_.size() / kWindow); ++w) {
      cache.truncate(sequence, 0);
      const SequencePiece piece{sequence, std::span(tokens_).subspan(w * kWindow, kWindow), RowsWanted::kAll};
      std::vector<float> logits;
      EXPECT_TRUE(runner.run({&piece, 1}, logits).ok());
      for (std::size_t i = 0; i + 1 < kWindow; ++i, ++count)
        sum += negative_log_likelihood(std::span(logits).subspan(i * vocab, vocab), piece.tokens[i + 1]);
    }
    const double result = std::exp(sum / static_cast<double>(count));
    fmt::print("{}{}: perplexity {:.5f}\n", kv_type_info(type).name, rotate ? "" : " not rotated", result);
    return result;
  }

  std::unique_ptr<WeightSource> source_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Model> model_;
  std::vector<TokenId> tokens_;
};

TEST_F(KvQuality, OfTheDraftModel) {
  open(test::sprout("sprout-draft-3m-q8_0.gguf"));
  const double f16 = perplexity(KvType::kF16);
  EXPECT_NEAR(perplexity(KvType::kQ8_0), f16, 0.001 * f16);
  EXPECT_NEAR(perplexity(KvType::kFP8_E4M3), f16, 0.01 * f16);
  const double rotated = perplexity(KvType::kQ4_0);
  EXPECT_LT(rotated, perplexity(KvType::kQ4_0, false));
  // Heads of 3 million parameters have no room for four bits: larger models lose less.
  EXPECT_NEAR(rotated, f16, 0.1 * f16);
}

}  // namespace
}  // namespace mlxr
