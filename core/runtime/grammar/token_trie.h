#pragma once
// What grammars need to know of a vocabulary, made once a tokenizer. Immutable and thread-safe.
//
// Tokens are sorted into slices by what kind of text they are, after llguidance's slicer: plain text of at most 10
// characters, of at most 30, of any length, and all the rest. Inside a JSON string, where any text may follow, the
// first three slices are allowed as a whole, and only the rest (a sixth of the vocabulary) is looked at one by one.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/runtime/grammar/byte_trie.h"
#include "core/runtime/tokenizer/tokenizer.h"

namespace mlxr {

struct TokenSlice {
  // The tokens are whole characters, at most so many, other than control characters, '"', '\' and the line ends U+2028
  // and U+2029; kAnyLength: any number of them; kMixed: anything at all.
  int max_characters;
  grammar::ByteTrie trie;
  std::vector<std::uint64_t> mask;  // [mask_words()]

  static constexpr int kAnyLength = 0;
  static constexpr int kMixed = -1;
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
  std::span<const TokenSlice> slices() const { return slices_; }
  // Whether some token begins with `bytes` and goes on.
  bool has_longer(std::string_view bytes) const;

 private:
  explicit TokenTrie(std::span<const VocabularyToken> tokens);

  std::vector<std::string> spellings_;
  std::vector<TokenId> end_of_generation_;  // sorted
  std::vector<TokenSlice> slices_;
};

}  // namespace mlxr
