#include "core/runtime/sampler/logprobs.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mlxr {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

}  // namespace

Logprobs LogprobReader::read(std::span<const float> logits, TokenId token, std::size_t num_top) {
  candidates_.assign(logits);
  const auto top = static_cast<double>(candidates_.highest());
  Logprobs made{.chosen = {token, kNever}, .rank = static_cast<std::int64_t>(logits.size()), .top = {}};
  if (top == kNever) return made;
  const double log_sum = std::log(candidates_.weight_sum());
  const auto logprob = [&](float logit) { return static_cast<double>(logit) - top - log_sum; };
  for (const Candidate& candidate : candidates_.best(num_top))
    made.top.push_back({candidate.token, logprob(candidate.logit)});
  if (token < 0 || static_cast<std::size_t>(token) >= logits.size()) return made;
  made.rank = static_cast<std::int64_t>(candidates_.rank_of(token));
  made.chosen.logprob = logprob(*candidates_.logit_of(token));
  return made;
}

Logprobs processed_logprobs(Sampler& sampler, std::span<const float> logits, TokenMask allowed, TokenId token,
                            std::size_t num_top) {
  const std::vector<TokenProbability> distribution = sampler.distribution(logits, allowed);
  Logprobs made{.chosen = {token, kNever}, .rank = static_cast<std::int64_t>(logits.size()), .top = {}};
  for (std::size_t i = 0; i < distribution.size(); ++i) {
    const TokenLogprob entry{distribution[i].token, std::log(distribution[i].probability)};
    if (i < num_top) made.top.push_back(entry);
    if (entry.token != token) continue;
    made.chosen = entry;
    made.rank = static_cast<std::int64_t>(i);
  }
  return made;
}

}  // namespace mlxr
