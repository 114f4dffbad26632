#pragma once
// Perplexity as llama.cpp's llama-perplexity computes it, so that figures compare: the text in chunks of `context`
// tokens without overlap, BOS in place of the first token of each where the model adds one, and only the second half of
// a chunk scored, where every token has at least half a context before it.

#include <cstdint>
#include <functional>
#include <span>

#include "core/runtime/loaded_model.h"

namespace mlxr {

struct PerplexityOptions {
  std::int64_t context = 512;
  std::int64_t max_chunks = 0;  // 0: all
};

struct PerplexityEstimate {
  double perplexity = 0.0;
  double error = 0.0;       // one standard error
  std::int64_t tokens = 0;  // scored
  std::int64_t chunks = 0;
};

// Called after each chunk with the estimate so far and the number of chunks there will be.
using OnChunk = std::function<void(const PerplexityEstimate& so_far, std::int64_t num_chunks)>;

// kInvalidArgument when the text is shorter than one chunk, or the context longer than the model's cache.
Result<PerplexityEstimate> measure_perplexity(LoadedModel& model, std::span<const TokenId> tokens,
                                              const PerplexityOptions& options, const OnChunk& on_chunk);

// Runs the model over the same chunks without scoring (for imatrix). `on_chunk` counts in `chunks` and `tokens`.
Status run_chunks(LoadedModel& model, std::span<const TokenId> tokens, const PerplexityOptions& options,
                  const OnChunk& on_chunk);

// -log p(token) under the softmax of `logits`, in double.
double negative_log_likelihood(std::span<const float> logits, TokenId token);

}  // namespace mlxr
