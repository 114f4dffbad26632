#pragma once
// What the tests of grammars share: small vocabularies, and questions to a matcher.

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "core/runtime/grammar/grammar.h"
#include "core/runtime/grammar/grammar_matcher.h"

namespace mlxr::grammar_testing {

inline constexpr TokenId kEnd = 256;  // ends the generation in the vocabularies below

// Token b is the byte b, kEnd ends the generation, then come `more`.
inline std::shared_ptr<const TokenTrie> byte_trie(const std::vector<std::string>& more = {}) {
  std::vector<TokenTrie::VocabularyToken> tokens;
  for (int byte = 0; byte < 256; ++byte)
    tokens.push_back({std::string(1, static_cast<char>(byte)), false, false});
  tokens.push_back({"</s>", true, true});
  for (const std::string& text : more)
    tokens.push_back({text, false, false});
  return TokenTrie::make(tokens);
}

inline std::shared_ptr<const Grammar> gbnf(std::string_view source, const GrammarOptions& options = {}) {
  auto made = Grammar::from_gbnf(source, options);
  EXPECT_TRUE(made.ok()) << made.status().message() << "\n" << source;
  return made.ok() ? *made : nullptr;
}

inline bool allowed(std::span<const std::uint64_t> mask, TokenId token) {
  return ((mask[static_cast<std::size_t>(token) / 64] >> (static_cast<unsigned>(token) % 64)) & 1U) != 0;
}

// Takes the bytes one by one; false where one may not come.
inline bool accept_bytes(GrammarMatcher& matcher, std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [&](char byte) { return matcher.accept(static_cast<unsigned char>(byte)); });
}

inline bool matches(const std::shared_ptr<const Grammar>& grammar, std::string_view text) {
  static const auto trie = byte_trie();
  GrammarMatcher matcher(grammar, trie);
  return accept_bytes(matcher, text) && matcher.may_end();
}

// Where matcher.mask() and matcher.accept() disagree about a token, or -1.
inline TokenId disagreement(GrammarMatcher& matcher, const TokenTrie& trie) {
  const std::span<const std::uint64_t> bits = matcher.mask();
  const std::vector<std::uint64_t> mask(bits.begin(), bits.end());
  for (std::size_t i = 0; i < trie.vocab_size(); ++i) {
    const auto token = static_cast<TokenId>(i);
    GrammarMatcher copy = matcher;
    if (copy.accept(token) != allowed(mask, token)) return token;
  }
  return -1;
}

}  // namespace mlxr::grammar_testing
