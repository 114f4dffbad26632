#include "core/runtime/template/printing.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include <fmt/core.h>

#include "core/runtime/template/text.h"

namespace mlxr::jinja {
namespace {

// Every piece that a nested value adds is charged, so that shared sub-values cannot blow up.
class Printer {
 public:
  Printer(Budget& budget, std::string& out) : budget_(budget), out_(out) {}

  Status repr(const Value& value) {
    switch (value.kind()) {
      case Kind::kUndefined:
        return add("Undefined");
      case Kind::kNone:
        return add("None");
      case Kind::kBool:
        return add(value.as_bool() ? "True" : "False");
      case Kind::kInteger:
        return add(integer_text(value.as_integer()));
      case Kind::kFloat:
        return add(float_text(value.as_number()));
      case Kind::kText:
        MLXR_RETURN_IF_ERROR(budget_.allocate(value.as_text().size()));
        return add(value.is_markup() ? "Markup(" + quoted(value.as_text()) + ")" : quoted(value.as_text()));
      case Kind::kSequence:
        return sequence(value.as_sequence());
      case Kind::kMapping:
        return mapping(value.as_mapping());
      case Kind::kObject:
        return add(value.as_object().printed());
    }
    return {};
  }

  Status add(std::string_view text) {
    MLXR_RETURN_IF_ERROR(budget_.allocate(text.size() + 1));
    out_ += text;
    return {};
  }

 private:
  Status items(const Sequence& sequence) {
    for (std::size_t i = 0; i < sequence.items.size(); ++i) {
      if (i > 0) MLXR_RETURN_IF_ERROR(add(", "));
      MLXR_RETURN_IF_ERROR(repr(sequence.items[i]));
    }
    return {};
  }

  Status sequence(const Sequence& sequence) {
    switch (sequence.type) {
      case SequenceType::kList:
        MLXR_RETURN_IF_ERROR(add("["));
        MLXR_RETURN_IF_ERROR(items(sequence));
        return add("]");
      case SequenceType::kTuple:
      case SequenceType::kGroup:
        MLXR_RETURN_IF_ERROR(add("("));
        MLXR_RETURN_IF_ERROR(items(sequence));
        return add(sequence.items.size() == 1 ? ",)" : ")");
      case SequenceType::kRange:
        return range(sequence);
      case SequenceType::kDictKeys:
      case SequenceType::kDictValues:
      case SequenceType::kDictItems:
        MLXR_RETURN_IF_ERROR(add(std::string(sequence.traits().python_name) + "(["));
        MLXR_RETURN_IF_ERROR(items(sequence));
        return add("])");
      case SequenceType::kGenerator:
      case SequenceType::kReversed:
        return add(fmt::format("<{} object>", sequence.traits().python_name));
    }
    return {};
  }

  Status range(const Sequence& sequence) {
    const auto& values = sequence.items;
    if (values.empty()) return add("range(0, 0)");
    const Integer first = values.front().as_integer();
    const Integer step = values.size() > 1 ? values[1].as_integer() - first : 1;
    const std::string stop = integer_text(values.back().as_integer() + step);
    if (step == 1) return add(fmt::format("range({}, {})", integer_text(first), stop));
    return add(fmt::format("range({}, {}, {})", integer_text(first), stop, integer_text(step)));
  }

  Status mapping(const Mapping& mapping) {
    MLXR_RETURN_IF_ERROR(add("{"));
    for (std::size_t i = 0; i < mapping.entries.size(); ++i) {
      if (i > 0) MLXR_RETURN_IF_ERROR(add(", "));
      MLXR_RETURN_IF_ERROR(repr(mapping.entries[i].first));
      MLXR_RETURN_IF_ERROR(add(": "));
      MLXR_RETURN_IF_ERROR(repr(mapping.entries[i].second));
    }
    return add("}");
  }

  Budget& budget_;
  std::string& out_;
};

void append_escaped_unit(std::string& out, unsigned unit) {
  out += fmt::format("\\u{:04x}", unit);
}

std::string json_string(std::string_view text, bool ensure_ascii) {
  std::string out = "\"";
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    switch (byte) {
      case '"':
        out += "\\\"";
        continue;
      case '\\':
        out += "\\\\";
        continue;
      case '\n':
        out += "\\n";
        continue;
      case '\r':
        out += "\\r";
        continue;
      case '\t':
        out += "\\t";
        continue;
      case '\b':
        out += "\\b";
        continue;
      case '\f':
        out += "\\f";
        continue;
      default:
        break;
    }
    if (byte < 0x20) {
      append_escaped_unit(out, byte);
    } else if (byte < 0x80 || !ensure_ascii) {
      out += text[i];
    } else {
      std::size_t bytes = 1;
      const std::int32_t code = decode_code_point(text.substr(i), bytes);
      if (code < 0) {
        append_escaped_unit(out, 0xfffd);
      } else if (code < 0x10000) {
        append_escaped_unit(out, static_cast<unsigned>(code));
      } else {
        const auto rest = static_cast<unsigned>(code - 0x10000);
        append_escaped_unit(out, 0xd800 + (rest >> 10));
        append_escaped_unit(out, 0xdc00 + (rest & 0x3ff));
      }
      i += bytes - 1;
    }
  }
  return out + '"';
}

class JsonPrinter {
 public:
  JsonPrinter(const JsonStyle& style, Budget& budget, std::string& out) : style_(style), budget_(budget), out_(out) {}

  Status value(const Value& value, int level) {
    switch (value.kind()) {
      case Kind::kNone:
        return add("null");
      case Kind::kBool:
        return add(value.as_bool() ? "true" : "false");
      case Kind::kInteger:
        return add(integer_text(value.as_integer()));
      case Kind::kFloat:
        return add(json_number(value.as_number()));
      case Kind::kText:
        return text(value.as_text());
      case Kind::kSequence:
        if (!value.as_sequence().traits().json) break;
        return list(value.as_sequence(), level);
      case Kind::kMapping:
        return mapping(value.as_mapping(), level);
      default:
        break;
    }
    return invalid_argument(fmt::format("Object of type {} is not JSON serializable", value.type_name()));
  }

 private:
  static std::string json_number(double number) {
    if (std::isnan(number)) return "NaN";
    if (std::isinf(number)) return number > 0 ? "Infinity" : "-Infinity";
    return float_text(number);
  }

  Status add(std::string_view piece) {
    MLXR_RETURN_IF_ERROR(budget_.allocate(piece.size() + 1));
    out_ += piece;
    return {};
  }

  Status text(std::string_view piece) {
    MLXR_RETURN_IF_ERROR(budget_.allocate(piece.size()));
    return add(json_string(piece, style_.ensure_ascii));
  }

  Status new_line(int level) {
    if (!style_.indent) return {};
    MLXR_RETURN_IF_ERROR(add("\n"));
    for (int i = 0; i < level; ++i)
      MLXR_RETURN_IF_ERROR(add(*style_.indent));
    return {};
  }

  Status list(const Sequence& sequence, int level) {
    if (sequence.items.empty()) return add("[]");
    MLXR_RETURN_IF_ERROR(add("["));
    for (std::size_t i = 0; i < sequence.items.size(); ++i) {
      if (i > 0) MLXR_RETURN_IF_ERROR(add(style_.item_separator));
      MLXR_RETURN_IF_ERROR(new_line(level + 1));
      MLXR_RETURN_IF_ERROR(value(sequence.items[i], level + 1));
    }
    MLXR_RETURN_IF_ERROR(new_line(level));
    return add("]");
  }

  static Result<std::string> key_text(const Value& key) {
    switch (key.kind()) {
      case Kind::kText:
        return key.as_text();
      case Kind::kNone:
        return std::string("null");
      case Kind::kBool:
        return std::string(key.as_bool() ? "true" : "false");
      case Kind::kInteger:
        return integer_text(key.as_integer());
      case Kind::kFloat:
        return json_number(key.as_number());
      default:
        return invalid_argument("keys must be str, int, float, bool or None, not " + key.type_name());
    }
  }

  Status mapping(const Mapping& mapping, int level) {
    if (mapping.entries.empty()) return add("{}");
    std::vector<std::pair<std::string, const Value*>> entries;
    for (const auto& [key, entry] : mapping.entries) {
      MLXR_ASSIGN_OR_RETURN(std::string name, key_text(key));
      entries.emplace_back(std::move(name), &entry);
    }
    if (style_.sort_keys) {
      MLXR_RETURN_IF_ERROR(budget_.work(entries.size() * 16));
      std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    }
    MLXR_RETURN_IF_ERROR(add("{"));
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (i > 0) MLXR_RETURN_IF_ERROR(add(style_.item_separator));
      MLXR_RETURN_IF_ERROR(new_line(level + 1));
      MLXR_RETURN_IF_ERROR(text(entries[i].first));
      MLXR_RETURN_IF_ERROR(add(style_.key_separator));
      MLXR_RETURN_IF_ERROR(value(*entries[i].second, level + 1));
    }
    MLXR_RETURN_IF_ERROR(new_line(level));
    return add("}");
  }

  const JsonStyle& style_;
  Budget& budget_;
  std::string& out_;
};

}  // namespace

std::string integer_text(Integer value) {
  if (value == 0) return "0";
  const bool negative = value < 0;
  std::string digits;
  for (; value != 0; value /= 10)
    digits += static_cast<char>('0' + std::abs(static_cast<int>(value % 10)));
  if (negative) digits += '-';
  return {digits.rbegin(), digits.rend()};
}

std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::array<char, 40> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::scientific);
  const std::string_view scientific(buffer.data(), static_cast<std::size_t>(end.ptr - buffer.data()));
  const std::size_t mark = scientific.find('e');
  const int exponent = std::atoi(std::string(scientific.substr(mark + 1)).c_str());
  constexpr int kFixedFrom = -4;
  constexpr int kFixedBelow = 16;
  if (exponent < kFixedFrom || exponent >= kFixedBelow) return std::string(scientific);
  std::string sign;
  std::string digits;
  for (const char c : scientific.substr(0, mark)) {
    if (c == '-') sign = "-";
    if (c >= '0' && c <= '9') digits += c;
  }
  if (exponent < 0) return sign + "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
  const auto whole = static_cast<std::size_t>(exponent) + 1;
  if (digits.size() <= whole) return sign + digits + std::string(whole - digits.size(), '0') + ".0";
  return sign + digits.insert(whole, 1, '.');
}

std::string fixed_text(double value, int digits) {
  std::string buffer(400 + static_cast<std::size_t>(digits), '\0');
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed, digits);
  buffer.resize(static_cast<std::size_t>(end.ptr - buffer.data()));
  return buffer;
}

Status print(const Value& value, Budget& budget, std::string& out) {
  Printer printer(budget, out);
  if (value.is_text()) return printer.add(value.as_text());
  if (value.is_undefined()) return {};
  return printer.repr(value);
}

Status print_repr(const Value& value, Budget& budget, std::string& out) {
  return Printer(budget, out).repr(value);
}

Result<std::string> to_text(const Value& value, Budget& budget) {
  std::string out;
  MLXR_RETURN_IF_ERROR(print(value, budget, out));
  return out;
}

Status print_json(const Value& value, const JsonStyle& style, Budget& budget, std::string& out) {
  return JsonPrinter(style, budget, out).value(value, 0);
}

}  // namespace mlxr::jinja
