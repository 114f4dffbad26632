#pragma once
// TokenConstraint: what a choice may say next, as the engine sees it: a grammar, a schema, or one that begins after a
// trigger. One a choice; used by the engine thread.

#include <cstddef>
#include <span>
#include <vector>

#include "core/runtime/sampler/candidates.h"

namespace mlxr {

class TokenConstraint {
 public:
  virtual ~TokenConstraint() = default;

  // The tokens that may come now; empty: any. Valid until the next accept().
  virtual TokenMask mask() = 0;
  // The token became part of the choice. False when it may not come.
  virtual bool accept(TokenId token) = 0;
  // How many of the tokens may come, one after the other. Changes nothing.
  virtual std::size_t would_accept(std::span<const TokenId> tokens) = 0;
  // Tokens that are the only way to go on, none when there is a choice. They still have to be accepted.
  virtual std::vector<TokenId> forced() { return {}; }
};

}  // namespace mlxr
