#pragma once
// Chooses the next token of one sequence from the model's logits. A Sampler keeps the tokens that penalties look back
// on and its random numbers, so each sequence has one of its own. Not thread-safe.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/runtime/sampler/candidates.h"
#include "core/runtime/sampler/random.h"
#include "core/runtime/sampler/sampling_params.h"
#include "core/runtime/sampler/stage.h"

namespace mlxr {

struct TokenProbability {
  TokenId token;
  double probability;
};

class Sampler {
 public:
  // Requires params.validate() to be ok.
  explicit Sampler(const SamplingParams& params);

  // logits: [vocab], of the last position. Does not accept the token it gives. Takes one random number, or none when
  // greedy. When every logit is minus infinity (or NaN) it gives token 0.
  TokenId sample(std::span<const float> logits);

  // What sample() would draw from, most likely first; one token when greedy. Draws nothing.
  std::vector<TokenProbability> distribution(std::span<const float> logits);

  // Tells that `token` is now part of the sequence; prompt tokens too, when penalties are to see them.
  void accept(TokenId token);

  // The seed in use, for a report by which the answer can be had again.
  std::uint64_t seed() const { return seed_; }

 private:
  void run_stages(std::span<const float> logits);

  bool greedy_;
  std::uint64_t seed_;
  Random random_;
  std::vector<std::unique_ptr<SamplingStage>> stages_;
  Candidates candidates_;
};

}  // namespace mlxr
