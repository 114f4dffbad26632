#pragma once
// SpecController: how many tokens one proposer should propose for one sequence in the next step, so that tokens come
// fastest; none when it would lose. A function of what it was told: it has no clock and no random numbers.
//
// It knows how often proposed tokens were accepted at each position (lately; a position that was not reached counts as
// the one before it) and what steps cost (step_costs.h). With a_j the acceptance at position j, k proposed tokens are
// worth 1 + a_1 + a_1 a_2 + ... tokens for the cost of a step with k more rows and of the proposal (Leviathan et al.,
// "Fast Inference from Transformers via Speculative Decoding", 2023); rows and tokens of the other sequences in the
// step count on both sides. When off it proposes a little now and then, ever more rarely, to see whether that is still
// right.

#include <cstdint>
#include <string>
#include <vector>

#include "core/runtime/spec/step_costs.h"

namespace mlxr {

struct SpecOptions {
  std::int64_t max_tokens = 16;   // proposed a step
  std::int64_t first_tokens = 4;  // while no cost is known
  double prior_acceptance = 0.7;  // at the first position, before anything was proposed
  double least_gain = 1.03;       // of the rate over none, so that noise does not decide
  std::int64_t probe_tokens = 3;  // proposed to find out again
  std::int64_t probe_after = 32;  // tokens without a proposal; doubles with each probe in vain
  std::int64_t probe_after_most = 1024;
};

// The other sequences of the step.
struct SpecLoad {
  std::int64_t rows = 0;
  double tokens = 0.0;  // that they are expected to gain
};

class SpecController {
 public:
  // `proposer` is its name in the costs.
  SpecController(std::string proposer, const SpecOptions& options = {});

  // 0: none. Never more than `limit`. Changes nothing.
  std::int64_t num_tokens(const StepCosts& costs, const SpecLoad& load, std::int64_t limit) const;
  // Tokens a second of a step with k proposed ones. Requires costs.known().
  double rate(const StepCosts& costs, const SpecLoad& load, std::int64_t k) const;
  // Whether so long ago proposed last that num_tokens() proposes even where it does not pay.
  bool probe_due() const { return idle_tokens_ >= probe_after_; }
  // A step is over: of `proposed` tokens (0: none) the first `accepted` were right.
  void record(std::int64_t proposed, std::int64_t accepted);
  // Tokens that a step with k proposed ones is expected to give.
  double expected_tokens(std::int64_t k) const;
  // At a position, counted from 0.
  double acceptance(std::int64_t position) const;

 private:
  // All three fade with each new trial.
  struct Position {
    double tried = 0.0;
    double right = 0.0;
    double prior = 2.0;  // trials that the estimate of the position before is worth
    double estimate(double before) const { return (right + prior * before) / (tried + prior); }
  };
  std::int64_t best_length(const StepCosts& costs, const SpecLoad& load, std::int64_t limit) const;

  std::string proposer_;
  SpecOptions options_;
  std::vector<Position> positions_;  // [max_tokens]
  std::int64_t idle_tokens_ = 0;     // since the last proposal
  std::int64_t probe_after_;
};

}  // namespace mlxr
