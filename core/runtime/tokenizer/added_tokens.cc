#include "core/runtime/tokenizer/added_tokens.h"

#include <algorithm>

#include <fmt/core.h>
#include <utf8proc.h>

#include "core/base/utf8.h"

namespace mlxr {
namespace {

constexpr std::size_t kMaxContentBytes = 1024;

// The start of the last character of a non-empty text.
std::size_t last_character(std::string_view text) {
  std::size_t at = text.size() - 1;
  while (at > 0 && text.size() - at < 4 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80)
    --at;
  return at;
}

// Alphabetic characters, marks, decimal digits, connectors and joiners: \w as Rust's regex crate means it.
bool is_word_character(char32_t c) {
  const bool circled_letter = (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) ||
                              (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189);
  if (circled_letter || c == 0x200C || c == 0x200D) return true;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return false;
  }
}

bool stands_alone(std::string_view text, std::size_t begin, std::size_t end) {
  if (begin > 0) {
    const std::string_view before = text.substr(0, begin);
    if (is_word_character(decode_utf8(before.substr(last_character(before))).code_point)) return false;
  }
  return end == text.size() || !is_word_character(decode_utf8(text.substr(end)).code_point);
}

std::size_t strip_left(std::string_view text, std::size_t begin, std::size_t floor) {
  while (begin > floor) {
    const std::size_t at = last_character(text.substr(0, begin));
    if (at < floor || !is_white_space(decode_utf8(text.substr(at)).code_point)) break;
    begin = at;
  }
  return begin;
}

std::size_t strip_right(std::string_view text, std::size_t end) {
  while (end < text.size()) {
    const Utf8Char c = decode_utf8(text.substr(end));
    if (!is_white_space(c.code_point)) break;
    end += c.length;
  }
  return end;
}

}  // namespace

Status AddedTokens::build(std::vector<AddedToken> tokens,
                          const std::function<std::string(std::string_view)>& normalize) {
  tokens_ = std::move(tokens);
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    const AddedToken& token = tokens_[i];
    if (token.content.size() > kMaxContentBytes) {
      return unsupported(
          fmt::format("added token {} has {} bytes, more than {}", token.id, token.content.size(), kMaxContentBytes));
    }
    if (token.normalized) {
      insert(normalized_, normalize(token.content), i);
    } else {
      insert(raw_, token.content, i);
    }
  }
  return {};
}

void AddedTokens::insert(Trie& trie, std::string_view content, std::size_t token) {
  if (content.empty()) return;
  if (trie.nodes.empty()) {
    trie.nodes.emplace_back();
    trie.first.assign(256, false);
  }
  trie.first[static_cast<unsigned char>(content[0])] = true;
  std::uint32_t node = 0;
  for (const char c : content) {
    const auto byte = static_cast<unsigned char>(c);
    auto& children = trie.nodes[node].children;
    const auto place =
        std::lower_bound(children.begin(), children.end(), std::pair<unsigned char, std::uint32_t>(byte, 0));
    if (place != children.end() && place->first == byte) {
      node = place->second;
      continue;
    }
    const auto created = static_cast<std::uint32_t>(trie.nodes.size());
    children.insert(place, {byte, created});
    trie.nodes.emplace_back();
    node = created;
  }
  if (trie.nodes[node].token < 0) trie.nodes[node].token = static_cast<std::int32_t>(token);
}

std::pair<std::int32_t, std::size_t> AddedTokens::longest(const Trie& trie, std::string_view text,
                                                          std::size_t at) const {
  std::pair<std::int32_t, std::size_t> best{-1, at};
  std::uint32_t node = 0;
  while (at < text.size()) {
    const auto byte = static_cast<unsigned char>(text[at]);
    const auto& children = trie.nodes[node].children;
    const auto place =
        std::lower_bound(children.begin(), children.end(), std::pair<unsigned char, std::uint32_t>(byte, 0));
    if (place == children.end() || place->first != byte) break;
    node = place->second;
    ++at;
    if (trie.nodes[node].token >= 0) best = {trie.nodes[node].token, at};
  }
  return best;
}

void AddedTokens::split(std::string_view text, Pass pass, bool parse_special, std::vector<Fragment>& out) const {
  const Trie& tokens = trie(pass);
  std::size_t done = 0;
  std::size_t at = 0;
  const auto text_until = [&](std::size_t end) {
    if (end > done) out.push_back({{done, end}, kNoToken});
  };
  while (!tokens.nodes.empty() && at < text.size()) {
    if (!tokens.first[static_cast<unsigned char>(text[at])]) {
      ++at;
      continue;
    }
    const auto [index, match_end] = longest(tokens, text, at);
    if (index < 0) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<std::size_t>(index)];
    // A match that is passed over still takes its text: no shorter token is looked for inside it.
    const bool skipped = (token.special && !parse_special) || (token.single_word && !stands_alone(text, at, match_end));
    if (skipped) {
      at = match_end;
      continue;
    }
    const std::size_t begin = token.lstrip ? strip_left(text, at, done) : at;
    const std::size_t end = token.rstrip ? strip_right(text, match_end) : match_end;
    text_until(begin);
    out.push_back({{begin, end}, token.id});
    done = end;
    at = end;
  }
  text_until(text.size());
}

}  // namespace mlxr
