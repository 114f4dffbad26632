#include "core/runtime/tokenizer/tiktoken.h"

#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "core/io/byte_reader.h"
#include "core/runtime/tokenizer/byte_alphabet.h"
#include "core/runtime/tokenizer/pretokenizer_names.h"
#include "core/runtime/tokenizer/rank_bpe.h"
#include "core/runtime/tokenizer/tokenizer_parts.h"

namespace mlxr {
namespace {

int base64_value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  if (c == '/') return 63;
  return -1;
}

std::optional<std::string> decode_base64(std::string_view text) {
  if (text.empty() || text.size() % 4 != 0) return std::nullopt;
  std::size_t padding = 0;
  while (padding < 2 && text[text.size() - 1 - padding] == '=')
    ++padding;
  std::string out;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text.substr(0, text.size() - padding)) {
    const int value = base64_value(c);
    if (value < 0) return std::nullopt;
    bits = (bits << 6) | static_cast<std::uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out.push_back(static_cast<char>(static_cast<unsigned char>((bits >> count) & 0xFF)));
    }
  }
  return out;
}

struct Line {
  std::string bytes;
  std::uint32_t rank = 0;
};

std::optional<Line> parse_line(std::string_view line) {
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  auto bytes = decode_base64(line.substr(0, space));
  Line out;
  const char* end = line.data() + line.size();
  const auto [stop, error] = std::from_chars(line.data() + space + 1, end, out.rank);
  if (!bytes || error != std::errc() || stop != end) return std::nullopt;
  out.bytes = std::move(*bytes);
  return out;
}

std::string_view take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

Result<std::vector<Token>> read_tokens(std::string_view text) {
  std::vector<Token> tokens;
  // A line has at least seven bytes, and ranks are dense.
  const std::size_t max_tokens = text.size() / 7 + 65536;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::string_view line = take_line(text);
    if (line.empty()) continue;
    auto parsed = parse_line(line);
    if (!parsed) return corrupt(fmt::format("line {} is not a token in base64 and its rank", number));
    if (parsed->rank >= max_tokens)
      return corrupt(fmt::format("line {}: rank {} is out of proportion to the file", number, parsed->rank));
    if (parsed->rank >= tokens.size()) tokens.resize(parsed->rank + std::size_t{1});
    Token& token = tokens[parsed->rank];
    if (!token.bytes.empty()) return corrupt(fmt::format("line {}: rank {} has a token already", number, parsed->rank));
    token.piece = to_byte_alphabet(parsed->bytes);
    token.bytes = std::move(parsed->bytes);
  }
  if (tokens.empty()) return corrupt("no tokens");
  return tokens;
}

}  // namespace

bool looks_like_tiktoken(std::string_view text) {
  return parse_line(take_line(text)).has_value();
}

Result<std::unique_ptr<Tokenizer>> tokenizer_from_tiktoken(std::string_view text, const std::string& pre,
                                                           const std::string& path) {
  if (pre.empty())
    return invalid_argument(path +
                            ": a tiktoken file needs the name of its pre-tokenizer (--pre llama-bpe, qwen2, ...)");
  const PreTokenizerRow* row = find_pre_tokenizer(pre);
  if (row == nullptr) return invalid_argument(fmt::format("{}: no pre-tokenizer is named {}", path, quote_name(pre)));
  auto tokens = read_tokens(text);
  if (!tokens.ok()) return tokens.status().with_context(path);

  TokenizerParts parts;
  parts.kind = TokenizerKind::kTiktoken;
  std::vector<std::uint32_t> ranks(tokens->size());
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    Token& token = (*tokens)[i];
    if (token.bytes.empty()) token.type = TokenType::kUnused;
    ranks[i] = token.bytes.empty() ? kNoRank : static_cast<std::uint32_t>(i);
  }
  parts.vocabulary = std::make_unique<const Vocabulary>(std::move(tokens).value());
  parts.model = std::make_unique<RankBpe>(*parts.vocabulary, std::move(ranks),
                                          RankBpeOptions{.from_bytes = true, .whole_piece = true});
  parts.pre_tokenizer = make_pre_tokenizer(*row);
  parts.pre_name = pre;
  complete_special_tokens(*parts.vocabulary, std::vector<bool>(parts.vocabulary->size(), false), parts.special);
  return std::make_unique<Tokenizer>(std::move(parts));
}

}  // namespace mlxr
