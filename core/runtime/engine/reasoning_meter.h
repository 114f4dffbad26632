#pragma once
// ReasoningMeter: counts the tokens of a choice's reasoning and says what must come when they are used up.

#include <cstdint>
#include <string>
#include <vector>

#include "core/runtime/engine/request.h"
#include "core/runtime/sampler/candidates.h"
#include "core/runtime/tokenizer/tokenizer.h"

namespace mlxr {

class ReasoningMeter {
 public:
  // `limit` must outlive it; `tokenizer` is needed where limit.max_tokens says something.
  ReasoningMeter(const ReasoningLimit& limit, const Tokenizer* tokenizer)
      : limit_(limit), tokenizer_(tokenizer), open_(limit.open) {}

  // A token of the answer.
  void push(TokenId token);
  // Reasoning has to end now.
  bool is_forcing() const { return limit_.max_tokens >= 0 && open_ && num_tokens_ >= limit_.max_tokens; }
  // The only token that may come next, as a mask; empty: any. Holds until the next call.
  TokenMask forced(std::int64_t vocab_size);

 private:
  const ReasoningLimit& limit_;
  const Tokenizer* tokenizer_;
  bool open_;
  std::int64_t num_tokens_ = 0;
  std::size_t num_closing_ = 0;  // closing tokens that have come
  std::string tail_;             // of the text, as long as the longer mark
  std::vector<std::uint64_t> mask_;
};

}  // namespace mlxr
