#include "core/runtime/grammar/regex_syntax.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <vector>

#include <fmt/core.h>

#include "core/base/utf8.h"
#include "core/runtime/grammar/char_automaton.h"

namespace mlxr::grammar {
namespace {

CharSet digits() {
  return CharSet::of('0', '9');
}
CharSet word() {
  return CharSet({{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}});
}
CharSet space() {
  return CharSet({{9, 13},
                  {' ', ' '},
                  {0xA0, 0xA0},
                  {0x1680, 0x1680},
                  {0x2000, 0x200A},
                  {0x2028, 0x2029},
                  {0x202F, 0x202F},
                  {0x205F, 0x205F},
                  {0x3000, 0x3000},
                  {0xFEFF, 0xFEFF}});
}
CharSet not_line_end() {
  return CharSet({{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}).complement();
}

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$';
}

class RegexParser {
 public:
  RegexParser(Rules& rules, std::string_view source) : rules_(rules), source_(source) {}

  Result<RegexExpression> run() {
    if (source_.size() > rules_.limits().max_source_bytes)
      return resource_exhausted(fmt::format("regular expression: {} bytes, the limit is {}", source_.size(),
                                            rules_.limits().max_source_bytes));
    MLXR_ASSIGN_OR_RETURN(const ExpressionId whole, parse_choice(0));
    if (!at_end()) return error("a ) without its (");
    MLXR_RETURN_IF_ERROR(rules_.status());
    return RegexExpression{whole, has_anchors_};
  }

 private:
  bool at_end() const { return place_ >= source_.size(); }
  char peek(std::size_t ahead = 0) const { return place_ + ahead < source_.size() ? source_[place_ + ahead] : '\0'; }
  bool take(std::string_view text) {
    if (source_.substr(place_, text.size()) != text) return false;
    place_ += text.size();
    return true;
  }
  Status error(const std::string& what) const {
    return invalid_argument(fmt::format("regular expression, byte {}: {}", place_, what));
  }
  Status refuse(const std::string& what) const {
    return unsupported(fmt::format("regular expression, byte {}: {} not supported", place_, what));
  }

  Result<ExpressionId> parse_choice(int depth) {
    if (depth > rules_.limits().max_depth) return error("groups are nested too deeply");
    std::vector<ExpressionId> parts;
    do {
      MLXR_ASSIGN_OR_RETURN(const ExpressionId part, parse_sequence(depth));
      parts.push_back(part);
    } while (take("|"));
    return rules_.choice(std::move(parts));
  }

  Result<ExpressionId> parse_sequence(int depth) {
    std::vector<ExpressionId> parts;
    while (!at_end() && peek() != '|' && peek() != ')') {
      MLXR_ASSIGN_OR_RETURN(ExpressionId part, parse_item(depth));
      MLXR_ASSIGN_OR_RETURN(part, parse_quantifier(part));
      MLXR_RETURN_IF_ERROR(rules_.status());
      parts.push_back(part);
    }
    return rules_.sequence(std::move(parts));
  }

  ExpressionId anchor(std::string_view which) {
    has_anchors_ = true;
    return rules_.literal(which);
  }

  Result<ExpressionId> parse_item(int depth) {
    const char c = peek();
    switch (c) {
      case '(':
        return parse_group(depth);
      case '[':
        return parse_class();
      case '.':
        ++place_;
        return rules_.chars(not_line_end());
      case '^':
        ++place_;
        return anchor(kAnchorBegin);
      case '$':
        ++place_;
        return anchor(kAnchorEnd);
      case '*':
      case '+':
      case '?':
        return error("nothing to repeat");
      case '{':
        if (counts(place_).has_value()) return error("nothing to repeat");
        break;
      case '\\':
        if (take("\\A")) return anchor(kAnchorBegin);
        if (take("\\Z") || take("\\z")) return anchor(kAnchorEnd);
        if (peek(1) >= '1' && peek(1) <= '9') return refuse("back-references are");
        if (peek(1) == 'k') return refuse("back-references are");
        if (peek(1) == 'b' || peek(1) == 'B') return refuse("\\b and \\B are");
        break;
      default:
        break;
    }
    MLXR_ASSIGN_OR_RETURN(const CharSet set, parse_set_member());
    return rules_.chars(set);
  }

  Result<ExpressionId> parse_group(int depth) {
    for (const std::string_view look : {"(?=", "(?!", "(?<=", "(?<!"})
      if (source_.substr(place_, look.size()) == look) return refuse("look-around is");
    if (source_.substr(place_, 3) == "(?>") return refuse("atomic groups are");
    if (source_.substr(place_, 3) == "(?(") return refuse("conditionals are");
    if (source_.substr(place_, 4) == "(?P=") return refuse("back-references are");
    if (source_.substr(place_, 3) == "(?#") return refuse("comments are");
    if (take("(?:")) {
    } else if (take("(?P<") || take("(?<")) {
      while (is_name_char(peek()))
        ++place_;
      if (!take(">")) return error("expected > behind the name of a group");
    } else if (source_.substr(place_, 2) == "(?") {
      return refuse("inline flags are");
    } else {
      ++place_;
    }
    MLXR_ASSIGN_OR_RETURN(const ExpressionId inside, parse_choice(depth + 1));
    if (!take(")")) return error("expected )");
    return inside;
  }

  struct Counts {
    std::int64_t low, high;  // high -1: unbounded
    std::size_t end;
  };
  // {m} {m,} {m,n} at `place`; anything else is literal text.
  std::optional<Counts> counts(std::size_t place) const {
    if (place >= source_.size() || source_[place] != '{') return std::nullopt;
    const char* at = source_.data() + place + 1;
    const char* end = source_.data() + source_.size();
    Counts out{0, 0, 0};
    auto parsed = std::from_chars(at, end, out.low);
    if (parsed.ptr == at || out.low < 0) return std::nullopt;
    if (parsed.ec != std::errc()) out.low = std::int64_t{1} << 40;
    out.high = out.low;
    at = parsed.ptr;
    if (at < end && *at == ',') {
      ++at;
      out.high = -1;
      if (at < end && *at != '}') {
        parsed = std::from_chars(at, end, out.high);
        if (parsed.ptr == at || out.high < 0) return std::nullopt;
        if (parsed.ec != std::errc()) out.high = std::int64_t{1} << 40;
        at = parsed.ptr;
      }
    }
    if (at >= end || *at != '}') return std::nullopt;
    out.end = static_cast<std::size_t>(at - source_.data()) + 1;
    return out;
  }

  Result<ExpressionId> parse_quantifier(ExpressionId part) {
    int low = 0;
    int high = kUnbounded;
    if (take("*")) {
    } else if (take("+")) {
      low = 1;
    } else if (take("?")) {
      high = 1;
    } else if (const std::optional<Counts> counted = counts(place_); counted.has_value()) {
      const int limit = rules_.limits().max_repeat;
      if (counted->low > limit || counted->high > limit)
        return error(fmt::format("the count is over the limit of {}", limit));
      if (counted->high >= 0 && counted->high < counted->low) return error("the counts are backwards");
      low = static_cast<int>(counted->low);
      high = counted->high < 0 ? kUnbounded : static_cast<int>(counted->high);
      place_ = counted->end;
    } else {
      return part;
    }
    if (peek() == '+') return refuse("possessive quantifiers are");
    take("?");
    if (peek() == '*' || peek() == '+' || peek() == '?' || counts(place_).has_value())
      return error("a quantifier behind a quantifier");
    return rules_.repeat(part, low, high);
  }

  Result<ExpressionId> parse_class() {
    ++place_;
    const bool negated = take("^");
    std::vector<CodePointRange> ranges;
    bool first = true;
    while (first || !take("]")) {
      first = false;
      if (at_end()) return error("the character class has no closing bracket");
      if (ranges.empty() && peek() == ']') {
        // []: nothing, [^]: anything.
        ++place_;
        break;
      }
      if (take("[:")) return refuse("named classes [:...:] are");
      MLXR_ASSIGN_OR_RETURN(const CharSet low, parse_set_member());
      const bool single = low.ranges().size() == 1 && low.ranges()[0].low == low.ranges()[0].high;
      if (peek() == '-' && peek(1) != ']' && place_ + 1 < source_.size() && single) {
        const std::size_t dash = place_;
        ++place_;
        MLXR_ASSIGN_OR_RETURN(const CharSet high, parse_set_member());
        if (high.ranges().size() != 1 || high.ranges()[0].low != high.ranges()[0].high) {
          place_ = dash;
          return error("a range of characters ends with a class");
        }
        if (high.ranges()[0].low < low.ranges()[0].low) return error("the range of characters is backwards");
        ranges.push_back({low.ranges()[0].low, high.ranges()[0].low});
        continue;
      }
      ranges.insert(ranges.end(), low.ranges().begin(), low.ranges().end());
    }
    const CharSet set(std::move(ranges));
    return rules_.chars(negated ? set.complement() : set);
  }

  // One character or escape.
  Result<CharSet> parse_set_member() {
    if (peek() != '\\') {
      const Utf8Char c = decode_utf8(source_.substr(place_));
      if (c.state != Utf8State::kValid) return error("the expression is not UTF-8");
      place_ += c.length;
      return CharSet::of(c.code_point, c.code_point);
    }
    if (place_ + 1 >= source_.size()) return error("an escape without its character");
    const char c = source_[place_ + 1];
    if (c == 'p' || c == 'P') return refuse("\\p{...} is");
    place_ += 2;
    switch (c) {
      case 'd':
        return digits();
      case 'D':
        return digits().complement();
      case 'w':
        return word();
      case 'W':
        return word().complement();
      case 's':
        return space();
      case 'S':
        return space().complement();
      default: {
        MLXR_ASSIGN_OR_RETURN(const char32_t single, parse_escape(c));
        return CharSet::of(single, single);
      }
    }
  }

  Result<char32_t> parse_escape(char c) {
    switch (c) {
      case 'n':
        return U'\n';
      case 'r':
        return U'\r';
      case 't':
        return U'\t';
      case 'f':
        return U'\f';
      case 'v':
        return U'\v';
      case 'b':
        return U'\b';  // only within a class
      case '0':
        return U'\0';
      case 'x':
        return parse_hex(2);
      case 'u':
        return parse_unicode();
      case 'c':
        if ((peek() >= 'a' && peek() <= 'z') || (peek() >= 'A' && peek() <= 'Z'))
          return static_cast<char32_t>(source_[place_++] & 0x1F);
        return error("\\c needs a letter");
      default:
        break;
    }
    if (is_name_char(c) && c != '_' && c != '$') return error(fmt::format("an unknown escape \\{}", c));
    --place_;  // the sign itself, which may be several bytes
    const Utf8Char sign = decode_utf8(source_.substr(place_));
    if (sign.state != Utf8State::kValid) return error("the expression is not UTF-8");
    place_ += sign.length;
    return sign.code_point;
  }

  Result<char32_t> parse_hex(std::size_t num_digits) {
    std::uint32_t value = 0;
    const std::string_view text = source_.substr(place_, num_digits);
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (text.size() != num_digits || parsed.ptr != text.data() + num_digits)
      return error(fmt::format("the escape needs {} hexadecimal digits", num_digits));
    place_ += num_digits;
    return static_cast<char32_t>(value);
  }

  Result<char32_t> parse_unicode() {
    char32_t value = 0;
    if (take("{")) {
      const std::size_t end = source_.find('}', place_);
      if (end == std::string_view::npos || end == place_ || end - place_ > 6) return error("expected \\u{hexadecimal}");
      MLXR_ASSIGN_OR_RETURN(value, parse_hex(end - place_));
      ++place_;
    } else {
      MLXR_ASSIGN_OR_RETURN(value, parse_hex(4));
      if (value >= 0xD800 && value < 0xDC00 && take("\\u")) {
        MLXR_ASSIGN_OR_RETURN(const char32_t low, parse_hex(4));
        if (low < 0xDC00 || low > 0xDFFF) return error("half of a surrogate pair");
        value = 0x10000 + ((value - 0xD800) << 10) + (low - 0xDC00);
      }
    }
    if (value > kMaxCodePoint || (value >= 0xD800 && value <= 0xDFFF)) return error("the escape is no character");
    return value;
  }

  Rules& rules_;
  std::string_view source_;
  std::size_t place_ = 0;
  bool has_anchors_ = false;
};

}  // namespace

Result<RegexExpression> parse_regex(Rules& rules, std::string_view source) {
  return RegexParser(rules, source).run();
}

}  // namespace mlxr::grammar
