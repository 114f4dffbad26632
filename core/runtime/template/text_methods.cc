// Methods of strings, with Python's names and meaning.

#include <algorithm>
#include <array>

#include <fmt/core.h>

#include "core/runtime/template/access.h"
#include "core/runtime/template/builtin.h"
#include "core/runtime/template/formatting.h"
#include "core/runtime/template/interpreter.h"
#include "core/runtime/template/text.h"

namespace mlxr::jinja {
namespace {

const std::string& self_text(const Call& call) {
  return call.self.as_text();
}

Value text_value(std::string_view text) {
  return Value::text(std::string(text));
}

Result<Value> text_list(Call& call, const std::vector<std::string_view>& parts) {
  MLXR_RETURN_IF_ERROR(call.run.budget().allocate(parts.size(), sizeof(Value) + sizeof(Text)));
  std::vector<Value> items;
  items.reserve(parts.size());
  for (const std::string_view part : parts)
    items.push_back(text_value(part));
  return Value::list(std::move(items));
}

template <Side kSide>
Result<Value> method_strip(Call& call) {
  if (!call.has(0) || call.at(0).is_none()) return text_value(strip_space(self_text(call), kSide));
  MLXR_ASSIGN_OR_RETURN(const std::string_view set, call.string_argument(0));
  return text_value(strip_set(self_text(call), set, kSide));
}

template <std::string (*kChange)(std::string_view)>
Result<Value> method_changed(Call& call) {
  return Value::text(kChange(self_text(call)));
}

template <TextClass kClass>
Result<Value> method_is(Call& call) {
  return Value::boolean(text_is(self_text(call), kClass));
}

Result<Value> split(Call& call, bool from_right) {
  MLXR_ASSIGN_OR_RETURN(const std::int64_t limit, call.integer(1, -1));
  if (!call.has(0) || call.at(0).is_none()) return text_list(call, split_space(self_text(call), limit, from_right));
  MLXR_ASSIGN_OR_RETURN(const std::string_view separator, call.string_argument(0));
  if (separator.empty()) return invalid_argument("empty separator");
  return text_list(call, split_at(self_text(call), separator, limit, from_right));
}
Result<Value> method_split(Call& call) {
  return split(call, false);
}
Result<Value> method_rsplit(Call& call) {
  return split(call, true);
}

Result<Value> method_splitlines(Call& call) {
  return text_list(call, split_lines(self_text(call), call.flag(0, false)));
}

Result<Value> partition(Call& call, bool from_right) {
  MLXR_ASSIGN_OR_RETURN(const std::string_view separator, call.string_argument(0));
  if (separator.empty()) return invalid_argument("empty separator");
  const std::string_view text = self_text(call);
  const std::size_t at = from_right ? rfind_text(text, separator) : find_text(text, separator);
  if (at == std::string_view::npos) {
    if (from_right) return Value::tuple({text_value(""), text_value(""), text_value(text)});
    return Value::tuple({text_value(text), text_value(""), text_value("")});
  }
  return Value::tuple(
      {text_value(text.substr(0, at)), text_value(separator), text_value(text.substr(at + separator.size()))});
}
Result<Value> method_partition(Call& call) {
  return partition(call, false);
}
Result<Value> method_rpartition(Call& call) {
  return partition(call, true);
}

// The part of self between the code points given as arguments `i` and `i + 1`, and where it begins.
struct Region {
  std::string_view text;
  std::size_t offset = 0;  // bytes
};
Result<Region> region(const Call& call, std::size_t i) {
  const std::string_view text = self_text(call);
  if (!call.has(i) && !call.has(i + 1)) return Region{text, 0};
  const auto length = static_cast<std::int64_t>(text_length(text));
  MLXR_ASSIGN_OR_RETURN(std::int64_t start, call.integer(i, 0));
  MLXR_ASSIGN_OR_RETURN(std::int64_t end, call.integer(i + 1, length));
  start = std::max<std::int64_t>(start < 0 ? start + length : start, 0);
  end = std::min(std::max<std::int64_t>(end < 0 ? end + length : end, 0), length);
  if (start > end) return Region{std::string_view(), std::string_view::npos};
  const std::size_t begin = text_offset(text, static_cast<std::size_t>(start));
  return Region{text.substr(begin, text_offset(text, static_cast<std::size_t>(end)) - begin), begin};
}

// startswith and endswith take one affix or a tuple of them.
Result<Value> has_affix(Call& call, bool at_end) {
  MLXR_ASSIGN_OR_RETURN(const Region part, region(call, 1));
  std::vector<Value> affixes = {call.at(0)};
  if (call.at(0).is_tuple()) affixes = call.at(0).as_sequence().items;
  for (const Value& affix : affixes) {
    if (affix.is_undefined()) return affix.complaint();
    if (!affix.is_text()) {
      return invalid_argument(
          fmt::format("{} first arg must be str or a tuple of str, not {}", call.name, affix.type_name()));
    }
    if (part.offset == std::string_view::npos) continue;
    if (at_end ? part.text.ends_with(affix.as_text()) : part.text.starts_with(affix.as_text())) {
      return Value::boolean(true);
    }
  }
  return Value::boolean(false);
}
Result<Value> method_startswith(Call& call) {
  return has_affix(call, false);
}
Result<Value> method_endswith(Call& call) {
  return has_affix(call, true);
}

// Code point position of the first or last match, or -1.
Result<std::int64_t> position(const Call& call, bool last) {
  MLXR_ASSIGN_OR_RETURN(const std::string_view needle, call.string_argument(0));
  MLXR_ASSIGN_OR_RETURN(const Region part, region(call, 1));
  if (part.offset == std::string_view::npos) return std::int64_t{-1};
  const std::size_t at = last ? rfind_text(part.text, needle) : find_text(part.text, needle);
  if (at == std::string_view::npos) return std::int64_t{-1};
  return static_cast<std::int64_t>(text_length(std::string_view(self_text(call)).substr(0, part.offset + at)));
}

template <bool kLast, bool kMustExist>
Result<Value> method_position(Call& call) {
  MLXR_ASSIGN_OR_RETURN(const std::int64_t at, position(call, kLast));
  if (kMustExist && at < 0) return invalid_argument("substring not found");
  return Value::integer(static_cast<Integer>(at));
}

Result<Value> method_count(Call& call) {
  MLXR_ASSIGN_OR_RETURN(const std::string_view needle, call.string_argument(0));
  MLXR_ASSIGN_OR_RETURN(const Region part, region(call, 1));
  if (part.offset == std::string_view::npos) return Value::integer(std::size_t{0});
  if (needle.empty()) return Value::integer(text_length(part.text) + 1);
  return Value::integer(split_at(part.text, needle, -1, false).size() - 1);
}

Result<Value> method_replace(Call& call) {
  MLXR_ASSIGN_OR_RETURN(const std::string_view from, call.string_argument(0));
  MLXR_ASSIGN_OR_RETURN(const std::string_view to, call.string_argument(1));
  MLXR_ASSIGN_OR_RETURN(const std::int64_t limit, call.integer(2, -1));
  const std::string_view text = self_text(call);
  std::vector<std::string_view> parts;
  if (!from.empty()) {
    parts = split_at(text, from, limit, false);
  } else {  // between all code points, and at both ends
    parts = {text.substr(0, 0)};
    for (const std::string_view point : text_points(text))
      parts.push_back(point);
    parts.push_back(text.substr(text.size()));
    if (limit >= 0 && static_cast<std::size_t>(limit) + 1 < parts.size()) {
      const std::string_view rest = parts[static_cast<std::size_t>(limit)];
      parts.resize(static_cast<std::size_t>(limit) + 1);
      parts.back() = text.substr(static_cast<std::size_t>(rest.data() - text.data()));
    }
  }
  MLXR_RETURN_IF_ERROR(call.run.budget().allocate(parts.size(), to.size()));
  std::string out;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) out += to;
    out += parts[i];
  }
  return Value::text(std::move(out));
}

Result<Value> method_removeprefix(Call& call) {
  MLXR_ASSIGN_OR_RETURN(const std::string_view affix, call.string_argument(0));
  std::string_view text = self_text(call);
  if (text.starts_with(affix)) text.remove_prefix(affix.size());
  return text_value(text);
}

Result<Value> method_removesuffix(Call& call) {
  MLXR_ASSIGN_OR_RETURN(const std::string_view affix, call.string_argument(0));
  std::string_view text = self_text(call);
  if (text.ends_with(affix)) text.remove_suffix(affix.size());
  return text_value(text);
}

Result<Value> method_join(Call& call) {
  MLXR_ASSIGN_OR_RETURN(const Value items, iterate(call.run, call.at(0)));
  std::string out;
  for (std::size_t i = 0; i < items.as_sequence().items.size(); ++i) {
    const Value& item = items.as_sequence().items[i];
    if (!item.is_text()) {
      return invalid_argument(fmt::format("sequence item {}: expected str instance, {} found", i, item.type_name()));
    }
    MLXR_RETURN_IF_ERROR(call.run.budget().allocate(self_text(call).size() + item.as_text().size()));
    if (i > 0) out += self_text(call);
    out += item.as_text();
  }
  return Value::text(std::move(out));
}

enum class Pad : std::uint8_t { kLeft, kRight, kBoth };

template <Pad kPad>
Result<Value> method_pad(Call& call) {
  MLXR_ASSIGN_OR_RETURN(const std::int64_t width, call.integer(0, 0));
  MLXR_ASSIGN_OR_RETURN(const std::string fill, call.text(1, " "));
  if (text_length(fill) != 1) return invalid_argument("The fill character must be exactly one character long");
  const auto length = static_cast<std::int64_t>(text_length(self_text(call)));
  if (width <= length) return call.self;
  const auto missing = static_cast<std::size_t>(width - length);
  MLXR_RETURN_IF_ERROR(call.run.budget().allocate(missing, fill.size()));
  // str.center puts the odd one on the left exactly when the width is odd.
  const std::size_t half = missing / 2 + (missing % 2 & static_cast<std::size_t>(width) & 1U);
  const std::size_t left = kPad == Pad::kLeft ? missing : kPad == Pad::kRight ? 0 : half;
  std::string out;
  for (std::size_t i = 0; i < left; ++i)
    out += fill;
  out += self_text(call);
  for (std::size_t i = left; i < missing; ++i)
    out += fill;
  return Value::text(std::move(out));
}

Result<Value> method_zfill(Call& call) {
  MLXR_ASSIGN_OR_RETURN(const std::int64_t width, call.integer(0, 0));
  const std::string& text = self_text(call);
  const auto length = static_cast<std::int64_t>(text_length(text));
  if (width <= length) return call.self;
  const auto missing = static_cast<std::size_t>(width - length);
  MLXR_RETURN_IF_ERROR(call.run.budget().allocate(missing));
  const bool sign = !text.empty() && (text[0] == '-' || text[0] == '+');
  return Value::text(text.substr(0, sign ? 1 : 0) + std::string(missing, '0') + text.substr(sign ? 1 : 0));
}

Result<Value> method_expandtabs(Call& call) {
  MLXR_ASSIGN_OR_RETURN(const std::int64_t size, call.integer(0, 8));
  std::string out;
  std::int64_t column = 0;
  for (const std::string_view point : text_points(self_text(call))) {
    if (point == "\t") {
      const std::int64_t spaces = size > 0 ? size - column % size : 0;
      MLXR_RETURN_IF_ERROR(call.run.budget().allocate(static_cast<std::size_t>(spaces)));
      out.append(static_cast<std::size_t>(spaces), ' ');
      column += spaces;
    } else {
      out += point;
      column = point == "\n" || point == "\r" ? 0 : column + 1;
    }
  }
  return Value::text(std::move(out));
}

Result<Value> method_format(Call& call) {
  return format_braces(call.run, self_text(call), call.all);
}

constexpr std::array<Builtin, 41> kMethods = {{
    {"strip", "chars?", method_strip<Side::kBoth>},
    {"lstrip", "chars?", method_strip<Side::kLeft>},
    {"rstrip", "chars?", method_strip<Side::kRight>},
    {"upper", "", method_changed<upper>},
    {"lower", "", method_changed<lower>},
    {"casefold", "", method_changed<lower>},
    {"capitalize", "", method_changed<capitalize>},
    {"title", "", method_changed<title>},
    {"swapcase", "", method_changed<swap_case>},
    {"split", "sep? maxsplit?", method_split},
    {"rsplit", "sep? maxsplit?", method_rsplit},
    {"splitlines", "keepends?", method_splitlines},
    {"partition", "sep", method_partition},
    {"rpartition", "sep", method_rpartition},
    {"startswith", "prefix start? end?", method_startswith},
    {"endswith", "suffix start? end?", method_endswith},
    {"find", "sub start? end?", method_position<false, false>},
    {"rfind", "sub start? end?", method_position<true, false>},
    {"index", "sub start? end?", method_position<false, true>},
    {"rindex", "sub start? end?", method_position<true, true>},
    {"count", "sub start? end?", method_count},
    {"replace", "old new count?", method_replace},
    {"removeprefix", "prefix", method_removeprefix},
    {"removesuffix", "suffix", method_removesuffix},
    {"join", "iterable", method_join},
    {"ljust", "width fillchar?", method_pad<Pad::kRight>},
    {"rjust", "width fillchar?", method_pad<Pad::kLeft>},
    {"center", "width fillchar?", method_pad<Pad::kBoth>},
    {"zfill", "width", method_zfill},
    {"expandtabs", "tabsize?", method_expandtabs},
    {"format", "*", method_format},
    {"isspace", "", method_is<TextClass::kSpace>},
    {"isalpha", "", method_is<TextClass::kAlpha>},
    {"isalnum", "", method_is<TextClass::kAlnum>},
    {"isdigit", "", method_is<TextClass::kDigit>},
    {"isdecimal", "", method_is<TextClass::kDecimal>},
    {"isnumeric", "", method_is<TextClass::kNumeric>},
    {"islower", "", method_is<TextClass::kLower>},
    {"isupper", "", method_is<TextClass::kUpper>},
    {"istitle", "", method_is<TextClass::kTitle>},
    {"isascii", "", method_is<TextClass::kAscii>},
}};

}  // namespace

std::span<const Builtin> text_methods() {
  return kMethods;
}

}  // namespace mlxr::jinja
