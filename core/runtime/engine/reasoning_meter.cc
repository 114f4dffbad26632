#include "core/runtime/engine/reasoning_meter.h"

#include <algorithm>

namespace mlxr {

void ReasoningMeter::push(TokenId token) {
  if (limit_.max_tokens < 0) return;
  if (is_forcing()) {
    // Marks may be spelled by several tokens, of which the model must not make something else.
    if (++num_closing_ >= limit_.closing.size()) {
      open_ = false;
      num_closing_ = 0;
      tail_.clear();
    }
    return;
  }
  if (open_) ++num_tokens_;
  tail_ += tokenizer_->is_special(token) ? std::string(tokenizer_->piece(token)) : tokenizer_->token_bytes(token);
  const std::string& mark = open_ ? limit_.end : limit_.begin;
  if (!mark.empty() && tail_.find(mark) != std::string::npos) {
    open_ = !open_;
    tail_.clear();
  } else if (tail_.size() > mark.size()) {
    tail_.erase(0, tail_.size() - mark.size());
  }
}

TokenMask ReasoningMeter::forced(std::int64_t vocab_size) {
  if (!is_forcing()) return {};
  const auto token = static_cast<std::size_t>(limit_.closing[num_closing_]);
  mask_.assign((static_cast<std::size_t>(vocab_size) + 63) / 64, 0);
  mask_[token / 64] |= std::uint64_t{1} << (token % 64);
  return mask_;
}

}  // namespace mlxr
