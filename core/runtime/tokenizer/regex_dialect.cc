#include "core/runtime/tokenizer/regex_dialect.h"

#include <array>
#include <utility>
#include <vector>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/core.h>
#include <pcre2.h>

namespace mlxr {
namespace {

constexpr int kMaxClassDepth = 32;

// Items of a character class. PCRE2's own \s has U+180E besides, and its \w lacks marks and connectors.
constexpr std::string_view kSpace =
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}";
constexpr std::string_view kNotSpace =
    "\\x{0}-\\x{8}\\x{e}-\\x{1f}\\x{21}-\\x{84}\\x{86}-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}\\x{200b}-\\x{2027}"
    "\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{10ffff}";
constexpr std::string_view kWord = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";
constexpr std::string_view kHex = "0-9A-Fa-f";

// Long names of general categories, which PCRE2 10.42 does not know.
constexpr std::array<std::pair<std::string_view, std::string_view>, 12> kCategoryNames = {{
    {"Letter", "L"},
    {"Mark", "M"},
    {"Number", "N"},
    {"Punctuation", "P"},
    {"Symbol", "S"},
    {"Separator", "Z"},
    {"Other", "C"},
    {"Uppercase_Letter", "Lu"},
    {"Lowercase_Letter", "Ll"},
    {"Decimal_Number", "Nd"},
    {"Nonspacing_Mark", "Mn"},
    {"Punct", "P"},
}};

bool is_script(std::string_view name) {
  if (name.size() < 3 || name.size() > 40) return false;
  const std::string probe = fmt::format("\\p{{sc:{}}}", name);
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(probe.data()), probe.size(), PCRE2_UTF, &error, &offset, nullptr);
  pcre2_code_free(code);
  return code != nullptr;
}

class Translator {
 public:
  explicit Translator(std::string_view pattern) : in_(pattern) {}

  Result<std::string> run() {
    std::string out;
    while (at_ < in_.size()) {
      if (in_[at_] == '[') {
        MLXR_ASSIGN_OR_RETURN(const std::string set, read_class(0));
        out += set;
      } else if (in_[at_] == '\\') {
        copy_escape(out);
      } else if (in_.substr(at_, 2) == "(?") {
        copy_group_start(out);
      } else {
        out += in_[at_++];
      }
    }
    return out;
  }

 private:
  // \p{...} and \P{...}, with PCRE2's spelling of the name.
  void copy_property(std::string& out) {
    out += in_.substr(at_, 2);
    at_ += 2;
    if (at_ >= in_.size() || in_[at_] != '{') return;
    const std::size_t close = in_.find('}', at_);
    if (close == std::string_view::npos) return;
    std::string_view name = in_.substr(at_ + 1, close - at_ - 1);
    at_ = close + 1;
    out += '{';
    if (!name.empty() && name.front() == '^') {
      out += '^';
      name.remove_prefix(1);
    }
    for (const auto& [from, to] : kCategoryNames) {
      if (name == from) name = to;
    }
    // PCRE2 would take the characters of a script's extensions too.
    if (is_script(name)) out += "sc:";
    out += name;
    out += '}';
  }

  // An escape that means the same inside and outside of a class.
  void copy_plain_escape(std::string& out) {
    const char next = at_ + 1 < in_.size() ? in_[at_ + 1] : '\0';
    if (next == 'p' || next == 'P') return copy_property(out);
    if (next == 'u' && at_ + 6 <= in_.size()) {
      out += fmt::format("\\x{{{}}}", in_.substr(at_ + 2, 4));
      at_ += 6;
      return;
    }
    out += in_.substr(at_, 2);
    at_ += 2;
  }

  void copy_escape(std::string& out) {
    const char next = at_ + 1 < in_.size() ? in_[at_ + 1] : '\0';
    std::string_view items;
    bool negated = false;
    switch (next) {
      case 's':
      case 'S':
        items = kSpace;
        negated = next == 'S';
        break;
      case 'w':
      case 'W':
        items = kWord;
        negated = next == 'W';
        break;
      case 'h':
      case 'H':
        items = kHex;
        negated = next == 'H';
        break;
      default:
        return copy_plain_escape(out);
    }
    at_ += 2;
    out += negated ? "[^" : "[";
    out += items;
    out += ']';
  }

  // "(?" and inline flags; Ruby's m is the s of PCRE2.
  void copy_group_start(std::string& out) {
    out += "(?";
    at_ += 2;
    std::size_t end = at_;
    while (end < in_.size() && (in_[end] == 'i' || in_[end] == 'm' || in_[end] == 'x' || in_[end] == '-'))
      ++end;
    const bool flags = end > at_ && end < in_.size() && (in_[end] == ':' || in_[end] == ')');
    if (!flags) return;
    for (; at_ < end; ++at_)
      out += in_[at_] == 'm' ? 's' : in_[at_];
  }

  // One operand of && while it is read.
  struct Operand {
    std::string items;
    std::vector<std::string> nested;

    bool simple() const { return nested.empty(); }
    std::string text() const {
      if (simple()) return "[" + items + "]";
      std::string out = "(?:";
      if (!items.empty()) out += "[" + items + "]|";
      for (const std::string& n : nested)
        out += n + "|";
      out.back() = ')';
      return out;
    }
  };

  void read_class_escape(Operand& operand) {
    const char next = at_ + 1 < in_.size() ? in_[at_ + 1] : '\0';
    if (next == 's' || next == 'S') {
      operand.items += next == 's' ? kSpace : kNotSpace;
    } else if (next == 'w' || next == 'h') {
      operand.items += next == 'w' ? kWord : kHex;
    } else if (next == 'W' || next == 'H') {
      operand.nested.push_back(fmt::format("[^{}]", next == 'W' ? kWord : kHex));
    } else {
      return copy_plain_escape(operand.items);
    }
    at_ += 2;
  }

  // From '[' to its ']'. What PCRE2 cannot write as one class becomes alternatives and lookaheads.
  Result<std::string> read_class(int depth) {
    const std::size_t start = at_;
    if (depth > kMaxClassDepth) return invalid_argument(fmt::format("character class at {} is nested too deep", start));
    ++at_;
    const bool negated = at_ < in_.size() && in_[at_] == '^';
    if (negated) ++at_;
    std::vector<Operand> operands(1);
    bool first = true;
    for (; at_ < in_.size() && (first || in_[at_] != ']'); first = false) {
      Operand& operand = operands.back();
      if (in_.substr(at_, 2) == "[:" && in_.find(":]", at_) != std::string_view::npos) {
        const std::size_t end = in_.find(":]", at_) + 2;
        operand.items += in_.substr(at_, end - at_);
        at_ = end;
      } else if (in_[at_] == '[') {
        MLXR_ASSIGN_OR_RETURN(std::string nested, read_class(depth + 1));
        operand.nested.push_back(std::move(nested));
      } else if (in_.substr(at_, 2) == "&&") {
        operands.emplace_back();
        at_ += 2;
      } else if (in_[at_] == '\\') {
        read_class_escape(operand);
      } else if (in_[at_] == ']') {
        operand.items += "\\]";
        ++at_;
      } else {
        operand.items += in_[at_++];
      }
    }
    if (at_ >= in_.size()) return invalid_argument(fmt::format("character class at {} is not closed", start));
    ++at_;
    return join(operands, negated);
  }

  static std::string join(const std::vector<Operand>& operands, bool negated) {
    if (operands.size() == 1 && operands[0].simple()) return (negated ? "[^" : "[") + operands[0].items + "]";
    std::string all;
    for (std::size_t i = 1; i < operands.size(); ++i)
      all += "(?=" + operands[i].text() + ")";
    all += operands[0].text();
    return negated ? "(?:(?!" + all + ")(?s:.))" : "(?:" + all + ")";
  }

  std::string_view in_;
  std::size_t at_ = 0;
};

}  // namespace

Result<std::string> translate_regex(std::string_view pattern) {
  return Translator(pattern).run();
}

}  // namespace mlxr
