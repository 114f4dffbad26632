#pragma once
// Speculation: tokens that may come next are proposed cheaply and verified by the model in one step.
//
// Verification (verify.h) samples each row by the request's ordinary sampler, with the random numbers of (seed, i) for
// generated token i, and a proposed token is accepted exactly when it is the one that was sampled. So the tokens are
// the same as without speculation, bit for bit where the model's rows do not depend on their batch: greedy decoding
// stays exact, sampling keeps its distribution, and a proposer can only change how fast they come. Nothing here has to
// be right, only often right.
//
// A Proposer belongs to one sequence and guesses from text alone; what a draft model proposes is in draft_model.h.
// Used by the engine thread.

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/runtime/tokenizer/vocabulary.h"

namespace mlxr {

class Proposer {
 public:
  virtual ~Proposer() = default;

  virtual std::string_view name() const = 0;
  // At most `max_tokens` that may follow `context` (the prompt and what was generated); empty: no idea. Each call gives
  // the context of the call before with tokens added at its end; only after truncate() may it differ, past that length.
  virtual std::vector<TokenId> propose(std::span<const TokenId> context, std::int64_t max_tokens) = 0;
  // The sequence was cut back to its first `length` tokens, or is another one from there on; 0: begin again.
  virtual void truncate(std::int64_t length) = 0;
};

}  // namespace mlxr
