#pragma once
// What becomes of proposed tokens once the model has read them (see proposer.h for why this changes no token).

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/base/status.h"
#include "core/runtime/sampler/sampler.h"

namespace mlxr {

struct VerifyRows {
  std::span<const float> logits;  // [1 + proposed, vocab]: after the last known token and after each proposed one
  std::int64_t vocab = 0;
};

struct VerifyHooks {
  // The tokens that may come next; empty: any. Asked before each token.
  std::function<TokenMask()> allowed;
  // A token was sampled from `row` and accepted by the sampler. False: the answer is complete and nothing more is
  // sampled.
  std::function<bool(TokenId, std::span<const float> row)> take;
};

struct Verified {
  std::vector<TokenId> tokens;    // sampled: the accepted proposals, then one more unless the answer was complete
  std::int64_t num_accepted = 0;  // of `proposed`
};

// Samples row after row until one gives another token than was proposed. The keys and values of the known token and of
// num_accepted proposals belong to the sequence; those of the others have to be taken back. Fails as Sampler::sample
// does; the tokens before were taken.
Result<Verified> verify_proposal(Sampler& sampler, std::span<const TokenId> proposed, const VerifyRows& rows,
                                 const VerifyHooks& hooks);
// Any token may come, and the answer has no end.
Result<Verified> verify_proposal(Sampler& sampler, std::span<const TokenId> proposed, const VerifyRows& rows);

}  // namespace mlxr
