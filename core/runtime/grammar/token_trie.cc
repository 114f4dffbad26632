#include "core/runtime/grammar/token_trie.h"

#include <algorithm>

#include "core/base/utf8.h"
#include "core/runtime/grammar/rules.h"

namespace mlxr {
namespace {

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
  for (std::size_t slice = 0; slice < kNumSlices; ++slice)
    fill_slice(slice);
}

void TokenTrie::fill_slice(std::size_t index) {
  TokenSlice& slice = slices_[index];
  const bool last = index + 1 == kNumSlices;
  const std::size_t longer_than = index == 0 ? 0 : static_cast<std::size_t>(grammar::kShortTexts[index - 1]);
  // Text of a known length is worth a mask only where the tokens are many.
  if (index == 0)
    for (int length = 1; length < grammar::kShortTexts[0]; ++length)
      slice.text_tokens.push_back({length, std::vector<std::uint64_t>(mask_words())});
  slice.text_tokens.push_back({kAnyLength, std::vector<std::uint64_t>(mask_words())});
  slice.mixed_mask.resize(mask_words());
  std::vector<grammar::ByteTrie::Entry> text;
  std::vector<grammar::ByteTrie::Entry> mixed;
  for (std::size_t i = 0; i < spellings_.size(); ++i) {
    const std::size_t size = spellings_[i].size();
    if (size <= longer_than || (!last && size > static_cast<std::size_t>(grammar::kShortTexts[index]))) continue;
    const int characters = plain_characters(spellings_[i]);
    const std::uint64_t bit = std::uint64_t{1} << (i % 64);
    if (characters < 0) slice.mixed_mask[i / 64] |= bit;
    (characters < 0 ? mixed : text).push_back({spellings_[i], static_cast<TokenId>(i)});
    for (TextTokens& length : slice.text_tokens)
      if (characters >= 0 && characters <= length.max_characters) length.mask[i / 64] |= bit;
  }
  slice.text = grammar::ByteTrie(std::move(text));
  slice.mixed = grammar::ByteTrie(std::move(mixed));
}

bool TokenTrie::is_end_of_generation(TokenId token) const {
  return std::binary_search(end_of_generation_.begin(), end_of_generation_.end(), token);
}

bool TokenTrie::has_longer(std::string_view bytes) const {
  for (std::size_t part = 0; part < 2 * kNumSlices; ++part) {
    const TokenSlice& slice = slices_[part / 2];
    const auto nodes = (part % 2 == 0 ? slice.text : slice.mixed).nodes();
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
