#pragma once
// What samplers ask of a tokenizer: which tokens end an answer, which break lines, and which ones touch a given text.
// One a model, shared by its samplers; finds a text in the whole vocabulary once and remembers the answer. Used by one
// thread, the engine thread of the model.

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/runtime/tokenizer/tokenizer.h"

namespace mlxr {

// How a text that must not be generated can come about.
struct ForbiddenText {
  std::string text;
  std::vector<TokenId> containing;  // tokens that have all of it inside
  // completing[k]: tokens that begin with its bytes from k on, so that they finish it after its first k. [text.size()]
  std::vector<std::vector<TokenId>> completing;
};

// A way in which a breaker text can stand in a sequence of tokens: one that has its beginning, and those after it.
struct BreakerTail {
  TokenId head;
  std::vector<TokenId> tail;  // empty: `head` has all of it
};

class SamplingVocabulary {
 public:
  // `tokenizer` must outlive it.
  explicit SamplingVocabulary(const Tokenizer& tokenizer);

  std::size_t size() const { return tokenizer_.vocab_size(); }
  std::span<const TokenId> end_tokens() const { return tokenizer_.special().end_of_generation; }
  // Those that are nothing but one line break.
  std::span<const TokenId> newline_tokens() const { return newlines_; }
  // The last bytes of what the tokens spell, at most `max_bytes`. Control tokens spell nothing.
  std::string last_bytes(std::span<const TokenId> tokens, std::size_t max_bytes) const;

  // `text` is not empty. Time: one pass over the vocabulary at the first request.
  std::shared_ptr<const ForbiddenText> forbidden_text(const std::string& text);
  std::shared_ptr<const std::vector<BreakerTail>> breaker(const std::string& text);

 private:
  static constexpr std::size_t kMaxRemembered = 256;

  // What a token adds to a text; a control token its spelling.
  std::string_view spelling(TokenId token) const {
    const auto index = static_cast<std::size_t>(token);
    return std::string_view(bytes_).substr(starts_[index], starts_[index + 1] - starts_[index]);
  }
  void spell_all();

  const Tokenizer& tokenizer_;
  std::vector<TokenId> newlines_;
  std::string bytes_;                // of all tokens, one after the other; empty: not needed so far
  std::vector<std::size_t> starts_;  // [size() + 1]
  std::map<std::string, std::shared_ptr<const ForbiddenText>> forbidden_;
  std::map<std::string, std::shared_ptr<const std::vector<BreakerTail>>> breakers_;
};

}  // namespace mlxr
