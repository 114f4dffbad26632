#pragma once
// What grammars need to know of a vocabulary, made once a tokenizer. Immutable and thread-safe.
//
// Plain text is kept apart from all other tokens, after llguidance's slicer: inside a JSON string, where any text may
// follow, plain text is allowed as a whole or up to a length, and only the rest (a sixth of the vocabulary) is looked
// at one by one.

#include <cstdint>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/runtime/grammar/byte_trie.h"
#include "core/runtime/grammar/rule_automata.h"
#include "core/runtime/tokenizer/tokenizer.h"

namespace mlxr {

// Plain text: whole characters other than control characters, '"', '\' and the line ends U+2028 and U+2029.
inline constexpr int kAnyLength = 1 << 20;

struct TextTokens {
  int max_characters;               // kAnyLength: any number
  std::vector<std::uint64_t> mask;  // [mask_words()] the slice's plain text of at most so many characters
};

// Tokens of about as many bytes.
struct TokenSlice {
  grammar::ByteTrie text;                 // plain text
  grammar::ByteTrie mixed;                // the others
  std::vector<TextTokens> text_tokens;    // by length
  std::vector<std::uint64_t> mixed_mask;  // [mask_words()] all of `mixed`
};

class TokenTrie {
 public:
  // Keeps nothing of the tokenizer.
  static std::shared_ptr<const TokenTrie> make(const Tokenizer& tokenizer);

  // For vocabularies without a tokenizer. A token is in no text when it is special or has no bytes.
  struct VocabularyToken {
    std::string bytes;
    bool special = false;
    bool end_of_generation = false;
  };
  static std::shared_ptr<const TokenTrie> make(std::span<const VocabularyToken> tokens);

  std::size_t vocab_size() const { return spellings_.size(); }
  std::size_t mask_words() const { return (vocab_size() + 63) / 64; }
  // By what grammars see of a token: its bytes, or grammar::token_spelling() of special ones. Empty for tokens that no
  // grammar allows and for ids outside of the vocabulary.
  std::string_view spelling(TokenId token) const {
    return token >= 0 && static_cast<std::size_t>(token) < spellings_.size()
               ? std::string_view(spellings_[static_cast<std::size_t>(token)])
               : std::string_view();
  }
  bool is_end_of_generation(TokenId token) const;
  std::span<const TokenId> end_of_generation() const { return end_of_generation_; }
  // Tokens of at most grammar::kShortTexts[i] bytes that are in no slice before; the last has those that are longer.
  static constexpr std::size_t kNumSlices = std::size(grammar::kShortTexts) + 1;
  const TokenSlice& slice(std::size_t i) const { return slices_[i]; }
  // Whether some token begins with `bytes` and goes on.
  bool has_longer(std::string_view bytes) const;

 private:
  explicit TokenTrie(std::span<const VocabularyToken> tokens);
  void fill_slice(std::size_t index);

  std::vector<std::string> spellings_;
  std::vector<TokenId> end_of_generation_;  // sorted
  TokenSlice slices_[kNumSlices];
};

}  // namespace mlxr
