#pragma once
// Log probabilities for a report: of the token that was chosen (or stood in the prompt) and of the most likely ones.
//
// They are those of the model: the log-softmax of its raw logits, before penalties, masks, cuts and temperature. What
// a sampler would really draw from is processed_logprobs(). Sums are in double over exponentials that are exact to
// 2e-7, so a log probability is off by about 2e-7, and by 2^-24 of a logit's size. A row's result depends on that row
// only. Equal logits are in order of ids.

#include <cstdint>
#include <span>
#include <vector>

#include "core/runtime/sampler/candidates.h"
#include "core/runtime/sampler/sampler.h"

namespace mlxr {

struct TokenLogprob {
  TokenId token = 0;
  double logprob = 0.0;  // natural; minus infinity for a token that cannot come
};

struct Logprobs {
  TokenLogprob chosen;
  std::int64_t rank = 0;          // of the chosen token: 0 for the most likely
  std::vector<TokenLogprob> top;  // most likely first
};

// Keeps buffers from row to row; one a thread.
class LogprobReader {
 public:
  // logits: [vocab]. `token` outside of the vocabulary has minus infinity and rank vocab. At most `num_top`
  // alternatives, the chosen token among them when it is one.
  Logprobs read(std::span<const float> logits, TokenId token, std::size_t num_top);

 private:
  Candidates candidates_;
};

// The same of the distribution that `sampler` draws from at its present position.
Logprobs processed_logprobs(Sampler& sampler, std::span<const float> logits, TokenMask allowed, TokenId token,
                            std::size_t num_top);

}  // namespace mlxr
