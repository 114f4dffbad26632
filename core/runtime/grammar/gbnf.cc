#include "core/runtime/grammar/gbnf.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <string>

#include <fmt/core.h>

#include "core/base/utf8.h"

namespace mlxr::grammar {
namespace {

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

class GbnfParser {
 public:
  GbnfParser(std::string_view source, const GrammarLimits& limits, const Tokenizer* tokenizer)
      : source_(source), tokenizer_(tokenizer), rules_(limits) {}

  Result<Rules> run() {
    skip_space(true);
    while (!at_end()) {
      MLXR_RETURN_IF_ERROR(parse_rule());
      MLXR_RETURN_IF_ERROR(rules_.status());
      skip_space(true);
    }
    for (const auto& [name, known] : names_)
      if (!known.defined) return error_at(known.place, fmt::format("rule '{}' is not defined", name));
    const auto root = names_.find("root");
    if (root == names_.end()) return invalid_argument("grammar: there is no rule 'root'");
    rules_.set_root(root->second.rule);
    return std::move(rules_);
  }

 private:
  struct Known {
    RuleId rule;
    std::size_t place;
    bool defined = false;
  };

  bool at_end() const { return place_ >= source_.size(); }
  char peek(std::size_t ahead = 0) const { return place_ + ahead < source_.size() ? source_[place_ + ahead] : '\0'; }
  bool take(char c) {
    if (at_end() || source_[place_] != c) return false;
    ++place_;
    return true;
  }

  Status error_at(std::size_t place, const std::string& what) const {
    const std::string_view before = source_.substr(0, place);
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const std::size_t line_start = before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
    return invalid_argument(fmt::format("grammar, line {} column {}: {}", line, place - line_start + 1, what));
  }
  Status error(const std::string& what) const { return error_at(place_, what); }

  void skip_space(bool over_lines) {
    while (!at_end()) {
      const char c = peek();
      if (c == '#') {
        while (!at_end() && peek() != '\n' && peek() != '\r')
          ++place_;
      } else if (c == ' ' || c == '\t' || (over_lines && (c == '\n' || c == '\r'))) {
        ++place_;
      } else {
        return;
      }
    }
  }

  std::string_view take_name() {
    const std::size_t start = place_;
    while (is_name_char(peek()))
      ++place_;
    return source_.substr(start, place_ - start);
  }

  Known& known(std::string_view name, std::size_t place) {
    const auto found = names_.find(name);
    if (found != names_.end()) return found->second;
    return names_.emplace(std::string(name), Known{rules_.add_rule(std::string(name)), place, false}).first->second;
  }

  Status parse_rule() {
    const std::size_t start = place_;
    const std::string_view name = take_name();
    if (name.empty()) return error("expected the name of a rule");
    skip_space(false);
    if (source_.substr(place_, 3) != "::=") return error(fmt::format("expected ::= behind '{}'", name));
    place_ += 3;
    skip_space(true);
    Known& rule = known(name, start);
    if (rule.defined) return error_at(start, fmt::format("rule '{}' is defined twice", name));
    rule.defined = true;
    const RuleId id = rule.rule;
    MLXR_ASSIGN_OR_RETURN(const ExpressionId body, parse_choice(0));
    rules_.define(id, body);
    if (!at_end() && peek() != '\n' && peek() != '\r') return error("expected the end of the rule");
    return {};
  }

  // Depth 0 is a rule's own right side, which ends with the line.
  Result<ExpressionId> parse_choice(int depth) {
    if (depth > rules_.limits().max_depth) return error("groups are nested too deeply");
    std::vector<ExpressionId> parts;
    while (true) {
      MLXR_ASSIGN_OR_RETURN(const ExpressionId part, parse_sequence(depth));
      parts.push_back(part);
      const std::size_t line_end = place_;
      skip_space(true);
      if (!take('|')) {
        if (depth == 0) place_ = line_end;
        return rules_.choice(std::move(parts));
      }
      skip_space(true);
    }
  }

  Result<ExpressionId> parse_sequence(int depth) {
    std::vector<ExpressionId> parts;
    while (true) {
      MLXR_ASSIGN_OR_RETURN(const std::optional<ExpressionId> item, parse_item(depth));
      if (!item.has_value()) return rules_.sequence(std::move(parts));
      MLXR_RETURN_IF_ERROR(rules_.status());
      skip_space(depth > 0);
      ExpressionId part = *item;
      while (std::string_view("*+?{").find(peek()) != std::string_view::npos && !at_end()) {
        MLXR_ASSIGN_OR_RETURN(part, parse_repeat(part));
        skip_space(depth > 0);
      }
      parts.push_back(part);
    }
  }

  // Nothing where no item begins.
  Result<std::optional<ExpressionId>> parse_item(int depth) {
    const char c = peek();
    if (c == '"') return optional_of(parse_text());
    if (c == '[') return optional_of(parse_class());
    if (c == '<') return optional_of(parse_token());
    if (c == '!') return error("negated tokens (!<...>) are not supported");
    if (c == '.') {
      ++place_;
      return std::optional(rules_.chars(CharSet::all()));
    }
    if (c == '(') {
      ++place_;
      skip_space(true);
      MLXR_ASSIGN_OR_RETURN(const ExpressionId group, parse_choice(depth + 1));
      if (!take(')')) return error("expected )");
      return std::optional(group);
    }
    if (!at_end() && is_name_char(c)) {
      const std::size_t start = place_;
      const std::string_view name = take_name();
      return std::optional(rules_.rule(known(name, start).rule));
    }
    return std::optional<ExpressionId>();
  }

  static Result<std::optional<ExpressionId>> optional_of(Result<ExpressionId> item) {
    if (!item.ok()) return item.status();
    return std::optional(*item);
  }

  Result<ExpressionId> parse_text() {
    ++place_;
    std::string text;
    while (!take('"')) {
      if (at_end() || peek() == '\n') return error("the text has no closing quote");
      MLXR_ASSIGN_OR_RETURN(const char32_t c, parse_char());
      append_utf8(text, c);
    }
    return rules_.literal(text);
  }

  Result<ExpressionId> parse_class() {
    ++place_;
    const bool negated = take('^');
    std::vector<CodePointRange> ranges;
    while (!take(']')) {
      if (at_end()) return error("the character class has no closing bracket");
      MLXR_ASSIGN_OR_RETURN(const char32_t low, parse_char());
      char32_t high = low;
      if (peek() == '-' && peek(1) != ']' && place_ + 1 < source_.size()) {
        ++place_;
        MLXR_ASSIGN_OR_RETURN(high, parse_char());
        if (high < low) return error("the range of characters is backwards");
      }
      ranges.push_back({low, high});
    }
    const CharSet set(std::move(ranges));
    return rules_.chars(negated ? set.complement() : set);
  }

  Result<char32_t> parse_char() {
    if (peek() != '\\') {
      const Utf8Char c = decode_utf8(source_.substr(place_));
      if (c.state != Utf8State::kValid) return error("the grammar is not UTF-8");
      place_ += c.length;
      return c.code_point;
    }
    const std::size_t start = place_;
    ++place_;
    if (at_end()) return error_at(start, "an escape without its character");
    const char c = source_[place_++];
    switch (c) {
      case 'x':
        return parse_hex(start, 2);
      case 'u':
        return parse_hex(start, 4);
      case 'U':
        return parse_hex(start, 8);
      case 'n':
        return U'\n';
      case 'r':
        return U'\r';
      case 't':
        return U'\t';
      case '\\':
      case '"':
      case '[':
      case ']':
      case '-':
      case '^':
      case '/':
        return static_cast<char32_t>(c);
      default:
        return error_at(start, "an unknown escape");
    }
  }

  Result<char32_t> parse_hex(std::size_t start, std::size_t digits) {
    std::uint32_t value = 0;
    const std::string_view text = source_.substr(place_, digits);
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (text.size() != digits || parsed.ptr != text.data() + digits)
      return error_at(start, fmt::format("the escape needs {} hexadecimal digits", digits));
    if (value > kMaxCodePoint || (value >= 0xD800 && value <= 0xDFFF))
      return error_at(start, "the escape is no character");
    place_ += digits;
    return static_cast<char32_t>(value);
  }

  Result<ExpressionId> parse_token() {
    const std::size_t start = place_++;
    if (take('[')) {
      const std::string_view digits = take_name();
      TokenId id = 0;
      const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), id);
      if (digits.empty() || parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size() || !take(']') ||
          !take('>'))
        return error_at(start, "a token is written <[number]> or <name>");
      return token(id);
    }
    const std::size_t end = source_.find_first_of(">\n", start);
    if (end == std::string_view::npos || source_[end] != '>')
      return error_at(start, "a token is written <[number]> or <name>");
    place_ = end + 1;
    const std::string_view name = source_.substr(start, place_ - start);
    const std::optional<TokenId> id = tokenizer_ == nullptr ? std::nullopt : tokenizer_->find_piece(name);
    if (!id.has_value()) return error_at(start, fmt::format("the vocabulary has no token {}", name));
    return token(*id);
  }

  ExpressionId token(TokenId id) {
    if (tokenizer_ != nullptr && !tokenizer_->is_special(id) && !tokenizer_->is_end_of_generation(id))
      return rules_.literal(tokenizer_->token_bytes(id));
    return rules_.choice({rules_.literal(token_spelling(id)), rules_.literal(token_spelling(id, true))});
  }

  Result<ExpressionId> parse_repeat(ExpressionId part) {
    const std::size_t start = place_;
    if (take('*')) return rules_.repeat(part, 0, kUnbounded);
    if (take('+')) return rules_.repeat(part, 1, kUnbounded);
    if (take('?')) return rules_.repeat(part, 0, 1);
    ++place_;
    skip_space(false);
    MLXR_ASSIGN_OR_RETURN(const int low, parse_count());
    int high = low;
    skip_space(false);
    if (take(',')) {
      skip_space(false);
      high = kUnbounded;
      if (peek() != '}') {
        MLXR_ASSIGN_OR_RETURN(high, parse_count());
      }
      skip_space(false);
    }
    if (!take('}')) return error("expected } behind a count");
    if (high != kUnbounded && high < low) return error_at(start, "the counts are backwards");
    return rules_.repeat(part, low, high);
  }

  Result<int> parse_count() {
    int count = 0;
    const std::string_view rest = source_.substr(place_);
    const auto parsed = std::from_chars(rest.data(), rest.data() + rest.size(), count);
    if (parsed.ptr == rest.data() || count < 0) return error("expected a count");
    if (parsed.ec != std::errc() || count > rules_.limits().max_repeat)
      return error(fmt::format("the count is over the limit of {}", rules_.limits().max_repeat));
    place_ += static_cast<std::size_t>(parsed.ptr - rest.data());
    return count;
  }

  std::string_view source_;
  const Tokenizer* tokenizer_;
  Rules rules_;
  std::size_t place_ = 0;
  std::map<std::string, Known, std::less<>> names_;
};

}  // namespace

Result<Rules> parse_gbnf(std::string_view source, const GrammarLimits& limits, const Tokenizer* tokenizer) {
  if (source.size() > limits.max_source_bytes)
    return resource_exhausted(
        fmt::format("grammar: {} bytes, the limit is {}", source.size(), limits.max_source_bytes));
  return GbnfParser(source, limits, tokenizer).run();
}

}  // namespace mlxr::grammar
