#pragma once
// Chooses the next token of one sequence from the model's logits. A Sampler keeps the tokens of its sequence, so each
// sequence has one of its own.
//
// The choice is a function of the parameters, the seed, the tokens accepted so far and the logits, and of nothing else:
// asking twice gives the same token, and generated token i uses the random numbers of (seed, i) only. So a request gets
// the same tokens alone or in a batch, and with or without speculation; and taking tokens back restores what was.
//
// Not thread-safe.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/runtime/sampler/candidates.h"
#include "core/runtime/sampler/sampling_params.h"
#include "core/runtime/sampler/sampling_vocabulary.h"
#include "core/runtime/sampler/stage.h"

namespace mlxr {

struct TokenProbability {
  TokenId token;
  double probability;
};

class Sampler {
 public:
  // kInvalidArgument for bad parameters, kUnsupported when they need a vocabulary and there is none. `vocabulary` must
  // outlive the sampler and its clones; nullptr: a model without a tokenizer. Without one DRY has no breakers and XTC
  // spares nothing.
  static Result<Sampler> make(const SamplingParams& params, SamplingVocabulary* vocabulary);
  // Requires params.validate() to be ok, and a vocabulary where params.needs_vocabulary().
  explicit Sampler(const SamplingParams& params, SamplingVocabulary* vocabulary = nullptr);
  Sampler(Sampler&&) noexcept = default;
  Sampler& operator=(Sampler&&) noexcept = default;

  // The next token. logits: [vocab], of the last position. Does not accept the token. `allowed` (a grammar's): other
  // tokens cannot come. kInvalidArgument when no token can: all are minus infinity, NaN, forbidden or not allowed.
  Result<TokenId> sample(std::span<const float> logits, TokenMask allowed = {});

  // What sample() would draw from, most likely first; one token when greedy, none where sample() fails.
  std::vector<TokenProbability> distribution(std::span<const float> logits, TokenMask allowed = {});

  // The tokens of the prompt, when penalties are to see them. Before any accept().
  void accept_prompt(std::span<const TokenId> tokens);
  // Tells that `token` is the next generated one, sampled or not.
  void accept(TokenId token);
  // Takes back the last generated tokens; at most num_generated(). Constant time a token.
  void rollback(std::int64_t num_tokens);
  std::int64_t num_generated() const { return static_cast<std::int64_t>(tokens_.size() - num_prompt_); }

  // A sampler in the same state that goes its own way from here.
  Sampler clone() const;
  // The same for another of several answers to one request: with its own seed, choice_seed(seed(), index).
  Sampler clone_for_choice(std::uint64_t index) const;

  bool greedy() const { return greedy_; }
  // The seed in use, for a report by which the answer can be had again.
  std::uint64_t seed() const { return seed_; }

 private:
  Sampler() = default;

  SequenceView view() const { return {tokens_, num_prompt_, seed_}; }
  void add_stages(const StageContext& context);
  // False when no token can come.
  bool run_stages(std::span<const float> logits, TokenMask allowed);

  bool greedy_ = false;
  std::uint64_t seed_ = 0;
  std::vector<TokenId> tokens_;  // the prompt's, then the generated ones
  std::size_t num_prompt_ = 0;
  std::vector<std::unique_ptr<SamplingStage>> stages_;
  std::size_t num_rules_ = 0;        // the first of stages_ that have StageRole::kRule
  Candidates::Draw drawn_{-1, 1.0};  // by the last sample() at this position
  Candidates candidates_;
};

}  // namespace mlxr
