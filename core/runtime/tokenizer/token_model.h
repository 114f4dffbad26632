#pragma once
// The step of a tokenizer that turns a piece of text, already normalised and split, into tokens.

#include <string_view>
#include <vector>

#include "core/runtime/tokenizer/vocabulary.h"

namespace mlxr {

// Immutable and thread-safe.
class TokenModel {
 public:
  virtual ~TokenModel() = default;
  // Appends the tokens of `piece`. The cost is at most n log n in its length.
  virtual void encode(std::string_view piece, std::vector<TokenId>& out) const = 0;
};

}  // namespace mlxr
