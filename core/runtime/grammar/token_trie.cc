#include "core/runtime/grammar/token_trie.h"

#include <algorithm>

#include "core/base/utf8.h"
#include "core/runtime/grammar/rules.h"

namespace mlxr {
namespace {

constexpr int kTextLengths[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 16, 24, 40, kAnyLength};

// Characters of a plain text, -1 when `bytes` is none.
int plain_characters(std::string_view bytes) {
  int count = 0;
  while (!bytes.empty()) {
    const Utf8Char c = decode_utf8(bytes);
    if (c.state != Utf8State::kValid || c.code_point < 0x20 || c.code_point == '"' || c.code_point == '\\' ||
        c.code_point == 0x7F || c.code_point == 0x2028 || c.code_point == 0x2029)
      return -1;
    bytes.remove_prefix(c.length);
    ++count;
  }
  return count;
}

}  // namespace

std::shared_ptr<const TokenTrie> TokenTrie::make(const Tokenizer& tokenizer) {
  std::vector<VocabularyToken> tokens(tokenizer.vocab_size());
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    tokens[i] = {tokenizer.token_bytes(id), tokenizer.is_special(id), tokenizer.is_end_of_generation(id)};
  }
  return make(tokens);
}

std::shared_ptr<const TokenTrie> TokenTrie::make(std::span<const VocabularyToken> tokens) {
  return std::shared_ptr<const TokenTrie>(new TokenTrie(tokens));
}

TokenTrie::TokenTrie(std::span<const VocabularyToken> tokens) {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    const bool special = tokens[i].special || tokens[i].end_of_generation;
    spellings_.push_back(special ? grammar::token_spelling(id, tokens[i].end_of_generation) : tokens[i].bytes);
    if (tokens[i].end_of_generation) end_of_generation_.push_back(id);
  }
  for (const int length : kTextLengths)
    text_tokens_.push_back({length, std::vector<std::uint64_t>(mask_words())});
  std::vector<grammar::ByteTrie::Entry> text[std::size(kLongerThan)];
  std::vector<grammar::ByteTrie::Entry> mixed;
  for (std::size_t i = 0; i < spellings_.size(); ++i) {
    if (spellings_[i].empty()) continue;
    const int characters = plain_characters(spellings_[i]);
    if (characters < 0) mixed.push_back({spellings_[i], static_cast<TokenId>(i)});
    for (std::size_t t = 0; t < std::size(kLongerThan); ++t)
      if (characters > kLongerThan[t]) text[t].push_back({spellings_[i], static_cast<TokenId>(i)});
    for (TextTokens& length : text_tokens_)
      if (characters >= 0 && characters <= length.max_characters) length.mask[i / 64] |= std::uint64_t{1} << (i % 64);
  }
  for (std::size_t t = 0; t < std::size(kLongerThan); ++t)
    text_[t] = grammar::ByteTrie(std::move(text[t]));
  mixed_ = grammar::ByteTrie(std::move(mixed));
}

bool TokenTrie::is_end_of_generation(TokenId token) const {
  return std::binary_search(end_of_generation_.begin(), end_of_generation_.end(), token);
}

bool TokenTrie::has_longer(std::string_view bytes) const {
  for (const grammar::ByteTrie* trie : {&text_[0], &mixed_}) {
    const auto nodes = trie->nodes();
    std::uint32_t node = 0;
    std::size_t depth = 0;
    for (; depth < bytes.size(); ++depth) {
      std::uint32_t child = node + 1;
      while (child < nodes[node].next && nodes[child].byte != static_cast<std::uint8_t>(bytes[depth]))
        child = nodes[child].next;
      if (child >= nodes[node].next) break;
      node = child;
    }
    if (depth == bytes.size() && nodes[node].next > node + 1) return true;
  }
  return false;
}

}  // namespace mlxr
