#include "core/runtime/perplexity.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <fmt/core.h>

namespace mlxr {
namespace {

// Rows of logits fetched at once: bounds the host copy for large vocabularies.
constexpr std::int64_t kRowsAtOnce = 128;

// Feeds one chunk and hands out the logits of positions [first_row, chunk size).
using OnRow = std::function<void(std::int64_t position, std::span<const float> logits)>;

Status run_chunk(LoadedModel& model, SequenceId sequence, std::span<const TokenId> chunk, std::int64_t first_row,
                 const OnRow& on_row) {
  const auto vocab = static_cast<std::size_t>(model.model().config().vocab_size);
  const auto size = static_cast<std::int64_t>(chunk.size());
  model.cache().truncate(sequence, 0);
  std::vector<float> logits;
  for (std::int64_t start = 0; start < size;) {
    const std::int64_t end =
        start < first_row ? std::min(first_row, start + 4 * kRowsAtOnce) : std::min(size, start + kRowsAtOnce);
    const bool wanted = start >= first_row && on_row != nullptr;
    const SequencePiece piece{sequence,
                              chunk.subspan(static_cast<std::size_t>(start), static_cast<std::size_t>(end - start)),
                              wanted ? RowsWanted::kAll : RowsWanted::kLast};
    MLXR_RETURN_IF_ERROR(model.runner().run({&piece, 1}, logits));
    for (std::int64_t i = start; wanted && i < end; ++i) {
      on_row(i, std::span(logits).subspan(static_cast<std::size_t>(i - start) * vocab, vocab));
    }
    start = end;
  }
  return {};
}

Result<std::int64_t> count_chunks(const LoadedModel& model, std::span<const TokenId> tokens,
                                  const PerplexityOptions& options) {
  if (options.context < 4) return invalid_argument(fmt::format("a context of {} tokens is too short", options.context));
  if (options.context > model.context()) {
    return invalid_argument(
        fmt::format("a context of {} tokens is longer than the model's {}", options.context, model.context()));
  }
  const std::int64_t chunks = static_cast<std::int64_t>(tokens.size()) / options.context;
  if (chunks == 0) {
    return invalid_argument(
        fmt::format("the text has {} tokens, less than one chunk of {}", tokens.size(), options.context));
  }
  return options.max_chunks > 0 ? std::min(chunks, options.max_chunks) : chunks;
}

// Opens the model's sequence for the time of a measurement.
class OpenSequence {
 public:
  OpenSequence(LoadedModel& model, SequenceId id) : model_(model), id_(id) {}
  ~OpenSequence() { model_.cache().close(id_); }
  OpenSequence(const OpenSequence&) = delete;
  OpenSequence& operator=(const OpenSequence&) = delete;

 private:
  LoadedModel& model_;
  SequenceId id_;
};

// What each chunk begins with: the text, or BOS in place of its first token.
std::vector<TokenId> chunk_tokens(const LoadedModel& model, std::span<const TokenId> text) {
  std::vector<TokenId> chunk(text.begin(), text.end());
  const Tokenizer* tokenizer = model.tokenizer();
  if (tokenizer != nullptr && tokenizer->adds_bos() && tokenizer->special().bos) chunk[0] = *tokenizer->special().bos;
  return chunk;
}

class Score {
 public:
  void add(double nll) {
    sum_ += nll;
    squares_ += nll * nll;
    ++count_;
  }
  PerplexityEstimate estimate(std::int64_t chunks) const {
    const auto n = static_cast<double>(count_);
    const double mean = sum_ / n;
    const double variance = std::max(squares_ / n - mean * mean, 0.0);
    const double perplexity = std::exp(mean);
    const double error = count_ > 1 ? std::sqrt(variance / (n - 1.0)) * perplexity : 0.0;
    return {.perplexity = perplexity, .error = error, .tokens = count_, .chunks = chunks};
  }

 private:
  double sum_ = 0.0;
  double squares_ = 0.0;
  std::int64_t count_ = 0;
};

}  // namespace

double negative_log_likelihood(std::span<const float> logits, TokenId token) {
  const float max = *std::max_element(logits.begin(), logits.end());
  double sum = 0.0;
  for (const float logit : logits)
    sum += std::exp(static_cast<double>(logit - max));
  return std::log(sum) - static_cast<double>(logits[static_cast<std::size_t>(token)] - max);
}

Result<PerplexityEstimate> measure_perplexity(LoadedModel& model, std::span<const TokenId> tokens,
                                              const PerplexityOptions& options, const OnChunk& on_chunk) {
  MLXR_ASSIGN_OR_RETURN(const std::int64_t num_chunks, count_chunks(model, tokens, options));
  MLXR_ASSIGN_OR_RETURN(const SequenceId sequence, model.cache().open());
  const OpenSequence guard(model, sequence);
  Score score;
  for (std::int64_t c = 0; c < num_chunks; ++c) {
    const auto text =
        tokens.subspan(static_cast<std::size_t>(c * options.context), static_cast<std::size_t>(options.context));
    const std::vector<TokenId> chunk = chunk_tokens(model, text);
    MLXR_RETURN_IF_ERROR(
        run_chunk(model, sequence, chunk, options.context / 2, [&](std::int64_t i, std::span<const float> logits) {
          if (i + 1 < options.context)
            score.add(negative_log_likelihood(logits, text[static_cast<std::size_t>(i) + 1]));
        }));
    if (on_chunk) on_chunk(score.estimate(c + 1), num_chunks);
  }
  return score.estimate(num_chunks);
}

Status run_chunks(LoadedModel& model, std::span<const TokenId> tokens, const PerplexityOptions& options,
                  const OnChunk& on_chunk) {
  MLXR_ASSIGN_OR_RETURN(const std::int64_t num_chunks, count_chunks(model, tokens, options));
  MLXR_ASSIGN_OR_RETURN(const SequenceId sequence, model.cache().open());
  const OpenSequence guard(model, sequence);
  for (std::int64_t c = 0; c < num_chunks; ++c) {
    const auto text =
        tokens.subspan(static_cast<std::size_t>(c * options.context), static_cast<std::size_t>(options.context));
    MLXR_RETURN_IF_ERROR(
        run_chunk(model, sequence, chunk_tokens(model, text), 0, [](std::int64_t, std::span<const float>) {}));
    if (on_chunk) on_chunk({.tokens = (c + 1) * options.context, .chunks = c + 1}, num_chunks);
  }
  return {};
}

}  // namespace mlxr
