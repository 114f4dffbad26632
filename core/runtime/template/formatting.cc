#include "core/runtime/template/formatting.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>

#include <fmt/core.h>

#include "core/runtime/template/access.h"
#include "core/runtime/template/interpreter.h"
#include "core/runtime/template/printing.h"
#include "core/runtime/template/text.h"

namespace mlxr::jinja {
namespace {

constexpr int kMaxPrecision = 300;
constexpr int kMaxWidth = 1 << 20;

// [[fill]align][sign][#][0][width][,][.precision][type]
struct FormatSpec {
  std::string fill = " ";
  char align = '\0';  // < > ^ =, or none
  char sign = '-';
  bool alternate = false;
  char grouping = '\0';
  int width = 0;
  std::optional<int> precision;
  char type = '\0';
};

// Digits at the front of `text`, which it passes.
Result<int> take_number(std::string_view& text, int highest) {
  int value = 0;
  while (!text.empty() && text[0] >= '0' && text[0] <= '9') {
    value = value * 10 + (text[0] - '0');
    if (value > highest) return resource_exhausted("a width or precision in a format is too large");
    text.remove_prefix(1);
  }
  return value;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

Result<FormatSpec> parse_spec(std::string_view text) {
  constexpr std::string_view kAligns = "<>^=";
  FormatSpec spec;
  const std::size_t first = text_offset(text, 1);
  if (first < text.size() && kAligns.find(text[first]) != std::string_view::npos) {
    spec.fill = text.substr(0, first);
    spec.align = text[first];
    text.remove_prefix(first + 1);
  } else if (!text.empty() && kAligns.find(text[0]) != std::string_view::npos) {
    spec.align = text[0];
    text.remove_prefix(1);
  }
  const auto take = [&](std::string_view set) {
    if (text.empty() || set.find(text[0]) == std::string_view::npos) return '\0';
    const char c = text[0];
    text.remove_prefix(1);
    return c;
  };
  if (const char sign = take("+- ")) spec.sign = sign;
  spec.alternate = take("#") != '\0';
  if (take("0") != '\0' && spec.align == '\0') {
    spec.fill = "0";
    spec.align = '=';
  }
  MLXR_ASSIGN_OR_RETURN(spec.width, take_number(text, kMaxWidth));
  spec.grouping = take(",_");
  if (take(".") != '\0') {
    if (text.empty() || !is_digit(text[0])) return invalid_argument("Format specifier missing precision");
    MLXR_ASSIGN_OR_RETURN(spec.precision, take_number(text, kMaxPrecision));
  }
  spec.type = take("bcdeEfFgGnosxX%");
  if (!text.empty()) return invalid_argument("Invalid format specifier");
  return spec;
}

std::string in_base(Integer value, unsigned base, bool upper_case) {
  const std::string_view digits = upper_case ? "0123456789ABCDEF" : "0123456789abcdef";
  std::string out;
  do {
    out += digits[static_cast<std::size_t>(value % base)];
    value /= base;
  } while (value != 0);
  return {out.rbegin(), out.rend()};
}

// Digits of |value| in the notation of the type e, f, g or %.
std::string float_digits(double value, const FormatSpec& spec) {
  value = std::fabs(value);
  const int precision = spec.precision.value_or(6);
  const char type = static_cast<char>(spec.type | 0x20);
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return "inf";
  if (spec.type == '\0' && !spec.precision) return float_text(value);
  if (spec.type == '%') return fixed_text(value * 100, precision) + "%";
  if (type == 'f') return fixed_text(value, precision);
  std::array<char, 400> buffer{};
  const auto notation = type == 'e' ? std::chars_format::scientific : std::chars_format::general;
  const int digits = type == 'e' ? precision : std::max(precision, 1);
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, notation, digits);
  return {buffer.data(), end.ptr};
}

std::string grouped(std::string digits, char separator, std::size_t every) {
  const std::size_t whole = std::min(digits.find_first_of(".e%"), digits.size());
  for (std::size_t i = whole; i > every;) {
    i -= every;
    digits.insert(i, 1, separator);
  }
  return digits;
}

// The text within its width. Requires room for it in the budget.
Result<std::string> padded(std::string sign, const std::string& body, const FormatSpec& spec, char default_align,
                           Budget& budget) {
  const std::size_t length = text_length(sign) + text_length(body);
  const auto width = static_cast<std::size_t>(spec.width);
  const std::size_t missing = width > length ? width - length : 0;
  MLXR_RETURN_IF_ERROR(budget.allocate(body.size() + missing * spec.fill.size()));
  const auto fill = [&](std::size_t count) {
    std::string out;
    for (std::size_t i = 0; i < count; ++i)
      out += spec.fill;
    return out;
  };
  switch (spec.align == '\0' ? default_align : spec.align) {
    case '<':
      return sign + body + fill(missing);
    case '^':
      return fill(missing / 2) + sign + body + fill(missing - missing / 2);
    case '=':
      return sign + fill(missing) + body;
    default:
      return fill(missing) + sign + body;
  }
}

std::string sign_text(bool negative, char sign) {
  if (negative) return "-";
  return sign == '-' ? std::string() : std::string(1, sign);
}

Result<std::string> format_integer(Integer value, const FormatSpec& spec, Budget& budget) {
  if (spec.precision) return invalid_argument("Precision not allowed in integer format specifier");
  const bool negative = value < 0;
  const Integer magnitude = negative ? -value : value;
  std::string sign = sign_text(negative, spec.sign);
  std::string body;
  const char type = static_cast<char>(spec.type | 0x20);
  if (spec.type == 'c') {
    if (value < 0 || value > 0x10ffff) return invalid_argument("%c arg not in range(0x110000)");
    append_code_point(body, static_cast<std::int32_t>(value));
  } else if (type == 'x' || spec.type == 'o' || spec.type == 'b') {
    body = in_base(magnitude, type == 'x' ? 16 : spec.type == 'o' ? 8 : 2, spec.type == 'X');
    if (spec.alternate) sign += std::string("0") + spec.type;
    if (spec.grouping != '\0') body = grouped(std::move(body), spec.grouping, 4);
  } else {
    body = integer_text(magnitude);
    if (spec.grouping != '\0') body = grouped(std::move(body), spec.grouping, 3);
  }
  return padded(std::move(sign), body, spec, spec.type == 'c' ? '<' : '>', budget);
}

Result<std::string> format_float(double value, const FormatSpec& spec, Budget& budget) {
  std::string body = float_digits(value, spec);
  if (spec.type == 'E' || spec.type == 'F' || spec.type == 'G') body = upper(body);
  if (spec.grouping != '\0') body = grouped(std::move(body), spec.grouping, 3);
  return padded(sign_text(std::signbit(value) && !std::isnan(value), spec.sign), body, spec, '>', budget);
}

// format(value, spec).
Result<std::string> format_value(const Value& value, const FormatSpec& spec, Budget& budget) {
  const bool plain = spec.type == '\0' || spec.type == 's';
  const bool integer_type = std::string_view("bcdnoxX").find(spec.type) != std::string_view::npos;
  if (value.kind() == Kind::kInteger || (value.kind() == Kind::kBool && !plain)) {
    if (spec.type == '\0' || integer_type) return format_integer(value.as_integer(), spec, budget);
    if (spec.type != 's') return format_float(value.as_number(), spec, budget);
  }
  if (value.kind() == Kind::kFloat && !integer_type && spec.type != 's') {
    return format_float(value.as_number(), spec, budget);
  }
  if (!plain) {
    return invalid_argument(
        fmt::format("Unknown format code '{}' for object of type '{}'", spec.type, value.type_name()));
  }
  MLXR_ASSIGN_OR_RETURN(std::string text, to_text(value, budget));
  if (spec.precision) text.resize(text_offset(text, static_cast<std::size_t>(*spec.precision)));
  return padded({}, text, spec, '<', budget);
}

class PercentFormatter {
 public:
  PercentFormatter(std::string_view format, const Value& values, Budget& budget)
      : rest_(format), values_(values), budget_(budget) {}

  Result<Value> run() {
    std::string out;
    while (!rest_.empty()) {
      const std::size_t mark = std::min(rest_.find('%'), rest_.size());
      MLXR_RETURN_IF_ERROR(budget_.allocate(mark + 1));
      out += rest_.substr(0, mark);
      rest_.remove_prefix(mark);
      if (rest_.empty()) break;
      rest_.remove_prefix(1);
      MLXR_ASSIGN_OR_RETURN(const std::string piece, conversion());
      out += piece;
    }
    // Python forgives one argument too many when it could have been looked into by name.
    const bool subscriptable =
        values_.is_mapping() || values_.is_undefined() || (values_.is_sequence() && !values_.is_tuple());
    if (used_ < count() && !(subscriptable && used_ == 0)) {
      return invalid_argument("not all arguments converted during string formatting");
    }
    return Value::text(std::move(out));
  }

 private:
  std::size_t count() const { return values_.is_tuple() ? values_.as_sequence().items.size() : 1; }

  Result<Value> next_value() {
    if (used_ >= count()) return invalid_argument("not enough arguments for format string");
    const std::size_t at = used_++;
    return values_.is_tuple() ? values_.as_sequence().items[at] : values_;
  }

  Result<Value> named_value() {
    const std::size_t close = rest_.find(')');
    if (close == std::string_view::npos) return invalid_argument("incomplete format key");
    const std::string name(rest_.substr(1, close - 1));
    rest_.remove_prefix(close + 1);
    if (!values_.is_mapping()) return invalid_argument("format requires a mapping");
    const Value* value = values_.as_mapping().find(name);
    if (value == nullptr) return invalid_argument(fmt::format("the format needs a value for {}", quoted(name)));
    return *value;
  }

  Result<std::string> conversion() {
    if (!rest_.empty() && rest_[0] == '%') {
      rest_.remove_prefix(1);
      return std::string("%");
    }
    std::optional<Value> value;
    if (!rest_.empty() && rest_[0] == '(') {
      MLXR_ASSIGN_OR_RETURN(value, named_value());
    }
    FormatSpec spec;
    spec.align = '>';
    for (; !rest_.empty(); rest_.remove_prefix(1)) {
      if (rest_[0] == '-') {
        spec.align = '<';
        spec.fill = " ";
      } else if (rest_[0] == '0' && spec.align != '<') {
        spec.align = '=';
        spec.fill = "0";
      } else if (rest_[0] == '+' || (rest_[0] == ' ' && spec.sign != '+')) {
        spec.sign = rest_[0];
      } else if (rest_[0] == '#') {
        spec.alternate = true;
      } else {
        break;
      }
    }
    MLXR_ASSIGN_OR_RETURN(spec.width, take_number(rest_, kMaxWidth));
    if (!rest_.empty() && rest_[0] == '.') {
      rest_.remove_prefix(1);
      MLXR_ASSIGN_OR_RETURN(spec.precision, take_number(rest_, kMaxPrecision));
    }
    if (rest_.empty()) return invalid_argument("incomplete format");
    spec.type = rest_[0];
    rest_.remove_prefix(1);
    if (!value) {
      MLXR_ASSIGN_OR_RETURN(value, next_value());
    }
    return converted(*value, spec);
  }

  Result<std::string> converted(const Value& value, FormatSpec spec) {
    if (spec.type == 's' || spec.type == 'r' || spec.type == 'a') {
      std::string text;
      MLXR_RETURN_IF_ERROR(spec.type == 's' ? print(value, budget_, text) : print_repr(value, budget_, text));
      if (spec.align == '=') spec.align = '>';
      if (spec.fill == "0") spec.fill = " ";
      if (spec.precision) text.resize(text_offset(text, static_cast<std::size_t>(*spec.precision)));
      return padded({}, text, spec, '>', budget_);
    }
    if (spec.type == 'c' && value.is_text()) return padded({}, value.as_text(), spec, '>', budget_);
    if (std::string_view("diuxXocbeEfFgG").find(spec.type) == std::string_view::npos) {
      return invalid_argument(fmt::format("unsupported format character {}", quoted(std::string(1, spec.type))));
    }
    if (value.is_undefined()) return value.complaint();
    if (!value.is_numeric()) {
      return invalid_argument(fmt::format("%{} format: {} is required, not {}", spec.type,
                                          spec.type == 'd' || spec.type == 'i' || spec.type == 'u' ? "a real number"
                                          : std::string_view("xXoc").find(spec.type) != std::string_view::npos
                                              ? "an integer"
                                              : "a number",
                                          value.type_name()));
    }
    if (std::string_view("diu").find(spec.type) != std::string_view::npos) {
      spec.type = 'd';
      spec.precision.reset();
      if (value.kind() == Kind::kFloat) {
        if (!(std::fabs(value.as_number()) < 0x1p62)) return unsupported("the number is too large for %d");
        return format_integer(static_cast<Integer>(value.as_number()), spec, budget_);
      }
    }
    return format_value(value, spec, budget_);
  }

  std::string_view rest_;
  const Value& values_;
  Budget& budget_;
  std::size_t used_ = 0;
};

class BraceFormatter {
 public:
  BraceFormatter(Interpreter& run, const Arguments& arguments) : run_(run), arguments_(arguments) {}

  Result<std::string> format(std::string_view text, int depth) {
    if (depth > 2) return invalid_argument("Max string recursion exceeded");
    std::string out;
    for (std::size_t i = 0; i < text.size();) {
      const std::size_t mark = std::min(text.find_first_of("{}", i), text.size());
      MLXR_RETURN_IF_ERROR(run_.budget().allocate(mark - i + 1));
      out += text.substr(i, mark - i);
      if (mark == text.size()) break;
      if (mark + 1 < text.size() && text[mark + 1] == text[mark]) {
        out += text[mark];
        i = mark + 2;
        continue;
      }
      if (text[mark] == '}') return invalid_argument("Single '}' encountered in format string");
      const std::size_t close = closing(text, mark);
      if (close == std::string_view::npos) return invalid_argument("expected '}' before end of string");
      MLXR_ASSIGN_OR_RETURN(const std::string piece, field(text.substr(mark + 1, close - mark - 1), depth));
      out += piece;
      i = close + 1;
    }
    return out;
  }

 private:
  static std::size_t closing(std::string_view text, std::size_t open) {
    int level = 0;
    for (std::size_t i = open; i < text.size(); ++i) {
      if (text[i] == '{') ++level;
      if (text[i] == '}' && --level == 0) return i;
    }
    return std::string_view::npos;
  }

  // name[!conversion][:spec]
  Result<std::string> field(std::string_view text, int depth) {
    const std::size_t name_end = std::min(text.find_first_of("!:"), text.size());
    MLXR_ASSIGN_OR_RETURN(Value value, named(text.substr(0, name_end)));
    text.remove_prefix(name_end);
    if (!text.empty() && text[0] == '!') {
      const char conversion = text.size() > 1 ? text[1] : '\0';
      if (conversion != 'r' && conversion != 's' && conversion != 'a') {
        return invalid_argument("Unknown conversion specifier");
      }
      std::string shown;
      MLXR_RETURN_IF_ERROR(conversion == 's' ? print(value, run_.budget(), shown)
                                             : print_repr(value, run_.budget(), shown));
      value = Value::text(std::move(shown));
      text.remove_prefix(2);
    }
    if (!text.empty() && text[0] != ':') return invalid_argument("expected ':' after conversion specifier");
    if (!text.empty()) text.remove_prefix(1);
    MLXR_ASSIGN_OR_RETURN(const std::string spec_text, format(text, depth + 1));
    MLXR_ASSIGN_OR_RETURN(const FormatSpec spec, parse_spec(spec_text));
    return format_value(value, spec, run_.budget());
  }

  // "0", "name", "" (the next one), each followed by .attribute and [item] parts.
  Result<Value> named(std::string_view text) {
    const std::size_t end = std::min(text.find_first_of(".["), text.size());
    MLXR_ASSIGN_OR_RETURN(Value value, argument(text.substr(0, end)));
    text.remove_prefix(end);
    while (!text.empty()) {
      const bool item = text[0] == '[';
      const std::size_t stop = item ? text.find(']') : std::min(text.find_first_of(".[", 1), text.size());
      if (stop == std::string_view::npos) return invalid_argument("Missing ']' in format string");
      const std::string_view part = text.substr(1, stop - 1);
      MLXR_ASSIGN_OR_RETURN(
          value, item ? get_path(run_, value, Value::text(std::string(part))) : get_attribute(run_, value, part));
      text.remove_prefix(stop + (item ? 1 : 0));
    }
    return value;
  }

  Result<Value> argument(std::string_view name) {
    if (!name.empty() && !is_digit(name[0])) {
      const Value* value = arguments_.find_named(name);
      if (value == nullptr) return invalid_argument(fmt::format("the format needs a value for {}", quoted(name)));
      return *value;
    }
    std::size_t index = next_;
    if (name.empty()) {
      ++next_;
    } else {
      MLXR_ASSIGN_OR_RETURN(const int number, take_number(name, kMaxWidth));
      index = static_cast<std::size_t>(number);
    }
    if (index >= arguments_.positional.size()) {
      return invalid_argument(fmt::format("Replacement index {} out of range for positional args tuple", index));
    }
    return arguments_.positional[index];
  }

  Interpreter& run_;
  const Arguments& arguments_;
  std::size_t next_ = 0;
};

}  // namespace

Result<Value> format_percent(std::string_view format, const Value& values, Budget& budget) {
  return PercentFormatter(format, values, budget).run();
}

Result<Value> format_braces(Interpreter& run, std::string_view format, const Arguments& arguments) {
  MLXR_ASSIGN_OR_RETURN(std::string text, BraceFormatter(run, arguments).format(format, 0));
  return Value::text(std::move(text));
}

}  // namespace mlxr::jinja
