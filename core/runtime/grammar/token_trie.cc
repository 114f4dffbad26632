#include "core/runtime/grammar/token_trie.h"

#include <algorithm>

#include "core/base/utf8.h"
#include "core/runtime/grammar/rules.h"

namespace mlxr {
namespace {

constexpr int kSliceLimits[] = {10, 30, TokenSlice::kAnyLength, TokenSlice::kMixed};

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

std::size_t slice_of(std::string_view bytes) {
  const int characters = plain_characters(bytes);
  return characters < 0 ? 3 : characters <= kSliceLimits[0] ? 0 : characters <= kSliceLimits[1] ? 1 : 2;
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
  std::vector<grammar::ByteTrie::Entry> entries[std::size(kSliceLimits)];
  for (std::size_t i = 0; i < spellings_.size(); ++i)
    if (!spellings_[i].empty()) entries[slice_of(spellings_[i])].push_back({spellings_[i], static_cast<TokenId>(i)});
  for (std::size_t s = 0; s < std::size(kSliceLimits); ++s) {
    TokenSlice slice{kSliceLimits[s], grammar::ByteTrie(entries[s]), std::vector<std::uint64_t>(mask_words())};
    for (const auto& entry : entries[s])
      slice.mask[static_cast<std::size_t>(entry.token) / 64] |= std::uint64_t{1} << (entry.token % 64);
    slices_.push_back(std::move(slice));
  }
}

bool TokenTrie::is_end_of_generation(TokenId token) const {
  return std::binary_search(end_of_generation_.begin(), end_of_generation_.end(), token);
}

bool TokenTrie::has_longer(std::string_view bytes) const {
  for (const TokenSlice& slice : slices_) {
    const auto nodes = slice.trie.nodes();
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
