#include "core/runtime/spec/verify.h"

#include "core/base/check.h"

namespace mlxr {

Result<Verified> verify_proposal(Sampler& sampler, std::span<const TokenId> proposed, const VerifyRows& rows,
                                 const VerifyHooks& hooks) {
  const auto width = static_cast<std::size_t>(rows.vocab);
  MLXR_CHECK(rows.logits.size() == (proposed.size() + 1) * width, "a row is missing");
  Verified verified;
  for (std::size_t i = 0; i <= proposed.size(); ++i) {
    const auto row = rows.logits.subspan(i * width, width);
    MLXR_ASSIGN_OR_RETURN(const TokenId token, sampler.sample(row, hooks.allowed()));
    sampler.accept(token);
    verified.tokens.push_back(token);
    const bool accepted = i < proposed.size() && proposed[i] == token;
    if (accepted) ++verified.num_accepted;
    if (!hooks.take(token, row) || !accepted) break;
  }
  return verified;
}

Result<Verified> verify_proposal(Sampler& sampler, std::span<const TokenId> proposed, const VerifyRows& rows) {
  return verify_proposal(
      sampler, proposed, rows,
      {.allowed = [] { return TokenMask{}; }, .take = [](TokenId, std::span<const float>) { return true; }});
}

}  // namespace mlxr
