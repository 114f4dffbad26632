#include "core/runtime/template/lexer.h"

#include <algorithm>
#include <array>
#include <optional>

#include <fmt/core.h>

#include "core/runtime/template/text.h"

namespace mlxr::jinja {
namespace {

constexpr auto kNone = std::string_view::npos;

// Longest first, so that the first match wins.
constexpr std::array<std::string_view, 26> kOperators = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
                                                         "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                                         ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (static_cast<unsigned char>(c) & 0x80U) != 0;
}

// One newline for \r\n and \r; the last one goes.
std::string normalized(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      out += source[i];
      continue;
    }
    out += '\n';
    if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string source) : source_(std::move(source)), rest_(source_) {}

  Result<std::vector<Token>> run() {
    while (offset_ < rest_.size())
      MLXR_RETURN_IF_ERROR(next_tag());
    add(TokenType::kEnd, {}, offset_);
    return std::move(tokens_);
  }

 private:
  // Positions are asked for in ascending order, so that each byte is counted once.
  Position position_of(std::size_t offset) {
    if (offset < counted_to_) {
      counted_to_ = 0;
      counted_ = {};
    }
    for (; counted_to_ < offset; ++counted_to_) {
      const char c = source_[counted_to_];
      if (c == '\n') {
        ++counted_.line;
        counted_.column = 1;
      } else if ((static_cast<unsigned char>(c) & 0xc0U) != 0x80U) {
        ++counted_.column;
      }
    }
    return counted_;
  }

  Status fail(std::size_t offset, std::string message) {
    return error_at(position_of(offset), invalid_argument(std::move(message)));
  }

  void add(TokenType type, std::string text, std::size_t offset) {
    tokens_.push_back({type, std::move(text), position_of(offset)});
  }

  bool looking_at(std::string_view text) const { return rest_.substr(offset_, text.size()) == text; }

  std::size_t skip_space(std::size_t offset) const {
    const std::string_view tail = rest_.substr(offset);
    return offset + (tail.size() - strip_space(tail, Side::kLeft).size());
  }

  // The data before a tag that starts at `end`, with the white space that the tag's sign or lstrip_blocks takes.
  void add_data(std::size_t end, char sign, bool strips_line) {
    std::string_view data = rest_.substr(offset_, end - offset_);
    if (sign == '-') {
      data = strip_space(data, Side::kRight);
    } else if (sign != '+' && strips_line) {
      const std::size_t newline = data.rfind('\n');
      const std::size_t line_start = newline == kNone ? 0 : newline + 1;
      if ((line_start > 0 || at_line_start_) && strip_space(data.substr(line_start), Side::kRight).empty()) {
        data = data.substr(0, line_start);
      }
    }
    if (!data.empty()) add(TokenType::kData, std::string(data), offset_);
  }

  // Moves past a tag's end and notes whether the next text starts a line.
  void finish_tag(std::size_t end) {
    at_line_start_ = end > 0 && rest_[end - 1] == '\n';
    offset_ = end;
  }

  char sign_at(std::size_t offset) const {
    const char c = offset < rest_.size() ? rest_[offset] : '\0';
    return c == '-' || c == '+' ? c : '\0';
  }

  Status next_tag() {
    std::size_t begin = rest_.find('{', offset_);
    while (begin != kNone && (begin + 1 >= rest_.size() || std::string_view("{%#").find(rest_[begin + 1]) == kNone)) {
      begin = rest_.find('{', begin + 1);
    }
    if (begin == kNone) {
      add_data(rest_.size(), '+', false);
      offset_ = rest_.size();
      return {};
    }
    const char sign = sign_at(begin + 2);
    const std::size_t inside = begin + 2 + (sign != '\0' ? 1 : 0);
    add_data(begin, sign, rest_[begin + 1] != '{');
    offset_ = inside;
    if (rest_[begin + 1] == '#') return comment(begin);
    if (rest_[begin + 1] == '{') {
      add(TokenType::kVariableBegin, {}, begin);
      return tag(begin, /*block=*/false);
    }
    if (const auto raw_end = raw_tag_end(inside)) {
      offset_ = *raw_end;
      return raw(begin);
    }
    add(TokenType::kBlockBegin, {}, begin);
    return tag(begin, /*block=*/true);
  }

  // The end of a tag whose closing mark (after an optional sign) starts at `offset`; nullopt when it is not there.
  // `takes_newline`: trim_blocks applies.
  std::optional<std::size_t> closing(std::size_t offset, std::string_view mark, bool takes_newline) const {
    const char sign = sign_at(offset);
    const std::size_t at = offset + (sign != '\0' ? 1 : 0);
    if (rest_.substr(at, mark.size()) != mark) return std::nullopt;
    const std::size_t end = at + mark.size();
    if (sign == '-') return skip_space(end);
    if (sign == '+') return takes_newline ? std::optional(end) : std::nullopt;
    if (takes_newline && end < rest_.size() && rest_[end] == '\n') return end + 1;
    return end;
  }

  Status comment(std::size_t begin) {
    const std::size_t mark = rest_.find("#}", offset_);
    if (mark == kNone) return fail(begin, "missing end of comment tag");
    const std::size_t before = mark > offset_ && sign_at(mark - 1) != '\0' ? mark - 1 : mark;
    finish_tag(*closing(before, "#}", true));
    return {};
  }

  // Where the text of a raw block starts, when the tag is {% raw %}.
  std::optional<std::size_t> raw_tag_end(std::size_t inside) const {
    const std::size_t name = skip_space(inside);
    if (rest_.substr(name, 3) != "raw") return std::nullopt;
    const std::size_t after = skip_space(name + 3);
    if (rest_.substr(after, 2) == "%}") return after + 2;
    if (rest_.substr(after, 3) == "-%}") return skip_space(after + 3);
    return std::nullopt;
  }

  Status raw(std::size_t begin) {
    at_line_start_ = rest_[offset_ - 1] == '\n';
    for (std::size_t mark = rest_.find("{%", offset_); mark != kNone; mark = rest_.find("{%", mark + 2)) {
      const char sign = sign_at(mark + 2);
      const std::size_t name = skip_space(mark + 2 + (sign != '\0' ? 1 : 0));
      if (rest_.substr(name, 6) != "endraw") continue;
      const auto end = closing(skip_space(name + 6), "%}", true);
      if (!end) continue;
      add_data(mark, sign, true);
      finish_tag(*end);
      return {};
    }
    return fail(begin, "missing end of raw directive");
  }

  // Tokens up to the end of a block or variable tag. Inside brackets the closing mark is an operator.
  Status tag(std::size_t begin, bool block) {
    std::string open;
    while (true) {
      if (offset_ < rest_.size() && open.empty()) {
        if (const auto end = closing(offset_, block ? "%}" : "}}", block)) {
          add(block ? TokenType::kBlockEnd : TokenType::kVariableEnd, {}, offset_);
          finish_tag(*end);
          return {};
        }
      }
      const std::size_t start = skip_space(offset_);
      if (start != offset_) {
        offset_ = start;
        continue;
      }
      if (offset_ >= rest_.size())
        return fail(begin, block ? "the block tag is not closed" : "the variable tag is not closed");
      MLXR_RETURN_IF_ERROR(token(open));
    }
  }

  Status token(std::string& open) {
    const char c = rest_[offset_];
    if (is_digit(c)) return number();
    if (is_name_start(c)) return name();
    if (c == '"' || c == '\'') return string();
    for (const std::string_view op : kOperators) {
      if (!looking_at(op)) continue;
      MLXR_RETURN_IF_ERROR(balance(op, open));
      add(TokenType::kOperator, std::string(op), offset_);
      offset_ += op.size();
      return {};
    }
    return fail(offset_, fmt::format("unexpected character {}", quoted(rest_.substr(offset_, 1))));
  }

  Status balance(std::string_view op, std::string& open) {
    const std::size_t opening = std::string_view("([{").find(op);
    if (opening != kNone) {
      open += ")]}"[opening];
    } else if (op == ")" || op == "]" || op == "}") {
      if (open.empty()) return fail(offset_, fmt::format("unexpected '{}'", op));
      if (open.back() != op[0]) return fail(offset_, fmt::format("unexpected '{}', expected '{}'", op, open.back()));
      open.pop_back();
    }
    return {};
  }

  Status name() {
    const std::size_t start = offset_;
    while (offset_ < rest_.size() && (is_name_start(rest_[offset_]) || is_digit(rest_[offset_])))
      ++offset_;
    add(TokenType::kName, std::string(rest_.substr(start, offset_ - start)), start);
    return {};
  }

  // Digits of a base, single underscores between them; returns where they end.
  template <class IsDigit>
  std::size_t digits_end(std::size_t offset, IsDigit is_base_digit) const {
    while (offset < rest_.size()) {
      if (is_base_digit(rest_[offset])) {
        ++offset;
      } else if (rest_[offset] == '_' && offset + 1 < rest_.size() && is_base_digit(rest_[offset + 1])) {
        offset += 2;
      } else {
        break;
      }
    }
    return offset;
  }

  Status number() {
    const std::size_t start = offset_;
    TokenType type = TokenType::kInteger;
    const char marker = start + 1 < rest_.size() ? static_cast<char>(rest_[start + 1] | 0x20) : '\0';
    std::size_t end = start;
    if (rest_[start] == '0' && (marker == 'x' || marker == 'o' || marker == 'b')) {
      end = digits_end(start + 2, [marker](char c) {
        if (marker == 'b') return c == '0' || c == '1';
        if (marker == 'o') return c >= '0' && c <= '7';
        return is_digit(c) || (static_cast<char>(c | 0x20) >= 'a' && static_cast<char>(c | 0x20) <= 'f');
      });
    } else {
      end = digits_end(start, is_digit);
      // "1.foo" is an attribute of 1, and after a dot (x.1.2) the digits are positions.
      const bool after_dot = start > 0 && rest_[start - 1] == '.';
      if (!after_dot && end + 1 < rest_.size() && rest_[end] == '.' && is_digit(rest_[end + 1])) {
        end = digits_end(end + 1, is_digit);
        type = TokenType::kFloat;
      }
      if (!after_dot && end < rest_.size() && (rest_[end] | 0x20) == 'e') {
        const bool has_sign = end + 1 < rest_.size() && (rest_[end + 1] == '-' || rest_[end + 1] == '+');
        const std::size_t exponent = end + 1 + (has_sign ? 1 : 0);
        if (exponent < rest_.size() && is_digit(rest_[exponent])) {
          end = digits_end(exponent, is_digit);
          type = TokenType::kFloat;
        }
      }
    }
    std::string text(rest_.substr(start, end - start));
    std::erase(text, '_');
    add(type, std::move(text), start);
    offset_ = end;
    return {};
  }

  Status string() {
    const std::size_t start = offset_;
    const char quote = rest_[start];
    std::string value;
    for (++offset_; offset_ < rest_.size() && rest_[offset_] != quote; ++offset_) {
      if (rest_[offset_] != '\\') {
        value += rest_[offset_];
        continue;
      }
      if (++offset_ >= rest_.size()) break;
      MLXR_RETURN_IF_ERROR(escape(value));
    }
    if (offset_ >= rest_.size()) return fail(start, "the string is not closed");
    ++offset_;
    add(TokenType::kString, std::move(value), start);
    return {};
  }

  // The character after a backslash, which offset_ is at; leaves offset_ at the last one used.
  Status escape(std::string& value) {
    static constexpr std::string_view kNames = "abfnrtv\\'\"\n";
    static constexpr std::string_view kValues = "\a\b\f\n\r\t\v\\'\"";
    const char c = rest_[offset_];
    const std::size_t simple = kNames.find(c);
    if (simple != kNone) {
      if (simple < kValues.size()) value += kValues[simple];  // an escaped newline is nothing
      return {};
    }
    if (c >= '0' && c <= '7') {
      std::size_t end = offset_;
      while (end < rest_.size() && end < offset_ + 3 && rest_[end] >= '0' && rest_[end] <= '7')
        ++end;
      append_code_point(value, std::stoi(std::string(rest_.substr(offset_, end - offset_)), nullptr, 8));
      offset_ = end - 1;
      return {};
    }
    const std::size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (digits == 0) {
      value += '\\';
      value += c;
      return {};
    }
    const std::string_view hex = rest_.substr(offset_ + 1, digits);
    const bool all_hex = std::all_of(hex.begin(), hex.end(), [](char h) {
      return is_digit(h) || (static_cast<char>(h | 0x20) >= 'a' && static_cast<char>(h | 0x20) <= 'f');
    });
    if (hex.size() < digits || !all_hex) return fail(offset_ - 1, fmt::format("truncated \\{} escape", c));
    const unsigned long code = std::stoul(std::string(hex), nullptr, 16);
    if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return fail(offset_ - 1, "illegal Unicode character");
    append_code_point(value, static_cast<std::int32_t>(code));
    offset_ += digits;
    return {};
  }

  std::string source_;
  std::string_view rest_;  // all of source_
  std::size_t offset_ = 0;
  bool at_line_start_ = true;
  std::vector<Token> tokens_;
  std::size_t counted_to_ = 0;
  Position counted_;
};

}  // namespace

Status error_at(Position position, const Status& status) {
  return status.with_context(fmt::format("line {}, column {}", position.line, position.column));
}

Result<std::vector<Token>> tokenize(std::string_view source) {
  return Lexer(normalized(source)).run();
}

}  // namespace mlxr::jinja
