// Filters over text. Source: Jinja 3.1's list of builtin filters; tojson is Hugging Face's own (no HTML escapes).

#include <algorithm>
#include <array>

#include <fmt/core.h>

#include "core/runtime/template/access.h"
#include "core/runtime/template/arithmetic.h"
#include "core/runtime/template/builtin.h"
#include "core/runtime/template/formatting.h"
#include "core/runtime/template/interpreter.h"
#include "core/runtime/template/printing.h"
#include "core/runtime/template/text.h"

namespace mlxr::jinja {
namespace {

Result<std::string> input_text(const Call& call) {
  return to_text(call.self, call.run.budget());
}

Result<Value> filter_upper(Call& call) {
  MLXR_ASSIGN_OR_RETURN(const std::string text, input_text(call));
  return Value::text(upper(text));
}

Result<Value> filter_lower(Call& call) {
  MLXR_ASSIGN_OR_RETURN(const std::string text, input_text(call));
  return Value::text(lower(text));
}

Result<Value> filter_capitalize(Call& call) {
  MLXR_ASSIGN_OR_RETURN(const std::string text, input_text(call));
  return Value::text(capitalize(text));
}

// Words start after white space, a hyphen or an opening bracket; the first letter is in upper case.
Result<Value> filter_title(Call& call) {
  MLXR_ASSIGN_OR_RETURN(const std::string text, input_text(call));
  std::string out;
  bool at_start = true;
  for (const std::string_view point : text_points(text)) {
    out += at_start ? upper(point) : lower(point);
    at_start = text_is(point, TextClass::kSpace) || point.find_first_of("-({[<") == 0;
  }
  return Value::text(std::move(out));
}

Result<Value> filter_trim(Call& call) {
  MLXR_ASSIGN_OR_RETURN(const std::string text, input_text(call));
  if (!call.has(0) || call.at(0).is_none()) return Value::text(std::string(strip_space(text, Side::kBoth)));
  MLXR_ASSIGN_OR_RETURN(const std::string_view set, call.string_argument(0));
  return Value::text(std::string(strip_set(text, set, Side::kBoth)));
}

Result<Value> filter_string(Call& call) {
  if (call.self.is_text()) return call.self;
  MLXR_ASSIGN_OR_RETURN(std::string text, input_text(call));
  return Value::text(std::move(text));
}

Result<Value> filter_safe(Call& call) {
  MLXR_ASSIGN_OR_RETURN(std::string text, input_text(call));
  return Value::markup(std::move(text));
}

Result<Value> filter_escape(Call& call) {
  if (call.self.is_markup()) return call.self;
  MLXR_ASSIGN_OR_RETURN(const std::string text, input_text(call));
  return Value::markup(escape_html(text));
}

Result<Value> filter_forceescape(Call& call) {
  MLXR_ASSIGN_OR_RETURN(const std::string text, input_text(call));
  return Value::markup(escape_html(text));
}

Result<Value> filter_striptags(Call& call) {
  MLXR_ASSIGN_OR_RETURN(const std::string text, input_text(call));
  std::string plain;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t open = std::min(text.find('<', i), text.size());
    plain += text.substr(i, open - i);
    const std::size_t close = text.find('>', open);
    if (open == text.size() || close == std::string::npos) {
      plain += text.substr(open);
      break;
    }
    i = close + 1;
  }
  std::string out;
  for (const std::string_view word : split_space(plain, -1, false)) {
    if (!out.empty()) out += ' ';
    out += word;
  }
  return Value::text(std::move(out));
}

// Room for a text in which each of `count` places grows by `growth`.
Status reserve(const Call& call, std::size_t base, std::size_t count, std::size_t growth) {
  MLXR_RETURN_IF_ERROR(call.run.budget().allocate(base));
  return call.run.budget().allocate(count, growth);
}

Result<Value> filter_replace(Call& call) {
  MLXR_ASSIGN_OR_RETURN(const std::string text, input_text(call));
  MLXR_ASSIGN_OR_RETURN(const std::string from, call.text(0, ""));
  MLXR_ASSIGN_OR_RETURN(const std::string to, call.text(1, ""));
  Arguments arguments{{Value::text(from), Value::text(to)}, {}};
  if (call.has(2) && !call.at(2).is_none()) arguments.positional.push_back(call.at(2));
  const Value self = Value::text(text);
  return invoke(*find_method(self, "replace"), call.run, self, arguments);
}

Result<Value> filter_indent(Call& call) {
  if (call.self.is_undefined()) return call.self.complaint();
  if (!call.self.is_text()) {
    return invalid_argument(fmt::format("unsupported operand type(s) for +=: '{}' and 'str'", call.self.type_name()));
  }
  MLXR_ASSIGN_OR_RETURN(std::string text, input_text(call));
  std::string indent;
  if (call.has(0) && call.at(0).is_text()) {
    indent = call.at(0).as_text();
  } else {
    MLXR_ASSIGN_OR_RETURN(const std::int64_t width, call.integer(0, 4));
    MLXR_RETURN_IF_ERROR(call.run.budget().allocate(static_cast<std::size_t>(std::max<std::int64_t>(width, 0))));
    indent.assign(static_cast<std::size_t>(std::max<std::int64_t>(width, 0)), ' ');
  }
  const bool first = call.flag(1, false);
  const bool blank = call.flag(2, false);
  text += '\n';  // so that a newline at the end begins a last, empty line
  const std::vector<std::string_view> lines = split_lines(text, false);
  MLXR_RETURN_IF_ERROR(reserve(call, text.size(), lines.size() + 1, indent.size()));
  std::string out = first ? indent : std::string();
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out += '\n';
    if (i > 0 && (blank || !lines[i].empty())) out += indent;
    out += lines[i];
  }
  return Value::text(std::move(out));
}

Result<Value> filter_center(Call& call) {
  MLXR_ASSIGN_OR_RETURN(std::string text, input_text(call));
  Arguments arguments{{call.has(0) ? call.at(0) : Value::integer(static_cast<Integer>(80))}, {}};
  const Value self = Value::text(std::move(text));
  return invoke(*find_method(self, "center"), call.run, self, arguments);
}

Result<Value> filter_truncate(Call& call) {
  MLXR_ASSIGN_OR_RETURN(const std::string text, input_text(call));
  MLXR_ASSIGN_OR_RETURN(const std::int64_t length, call.integer(0, 255));
  const bool kill_words = call.flag(1, false);
  MLXR_ASSIGN_OR_RETURN(const std::string end, call.text(2, "..."));
  MLXR_ASSIGN_OR_RETURN(const std::int64_t leeway, call.integer(3, 5));
  const auto end_length = static_cast<std::int64_t>(text_length(end));
  if (length < end_length) return invalid_argument(fmt::format("expected length >= {}, got {}", end_length, length));
  if (leeway < 0) return invalid_argument(fmt::format("expected leeway >= 0, got {}", leeway));
  MLXR_ASSIGN_OR_RETURN(const std::size_t total, length_of(call.run, call.self));
  if (static_cast<std::uint64_t>(total) <= static_cast<std::uint64_t>(length) + static_cast<std::uint64_t>(leeway)) {
    return call.self;
  }
  if (!call.self.is_text()) return invalid_argument("truncate needs a string, not " + call.self.type_name());
  std::string_view kept =
      std::string_view(text).substr(0, text_offset(text, static_cast<std::size_t>(length - end_length)));
  if (!kill_words) kept = split_at(kept, " ", 1, true).front();
  return Value::text(std::string(kept) + end);
}

Result<Value> filter_wordcount(Call& call) {
  MLXR_ASSIGN_OR_RETURN(const std::string text, input_text(call));
  std::size_t words = 0;
  bool inside = false;
  for (const std::string_view point : text_points(text)) {
    const bool word = is_word_character(point);
    words += word && !inside ? 1 : 0;
    inside = word;
  }
  return Value::integer(words);
}

Result<Value> filter_format(Call& call) {
  MLXR_ASSIGN_OR_RETURN(const std::string format, input_text(call));
  if (!call.all.positional.empty() && !call.all.named.empty()) {
    return invalid_argument("can't handle positional and keyword arguments at the same time");
  }
  if (call.all.named.empty()) return format_percent(format, Value::tuple(call.all.positional), call.run.budget());
  std::vector<Value::Entry> entries;
  for (const auto& [name, value] : call.all.named)
    entries.emplace_back(Value::text(name), value);
  MLXR_ASSIGN_OR_RETURN(const Value mapping, Value::mapping(std::move(entries)));
  return format_percent(format, mapping, call.run.budget());
}

Result<Value> filter_join(Call& call) {
  MLXR_ASSIGN_OR_RETURN(const std::string separator, call.text(0, ""));
  MLXR_ASSIGN_OR_RETURN(const Value items, iterate(call.run, call.self));
  std::string out;
  bool first = true;
  for (const Value& item : items.as_sequence().items) {
    MLXR_RETURN_IF_ERROR(call.run.budget().allocate(separator.size()));
    if (!std::exchange(first, false)) out += separator;
    if (call.has(1) && !call.at(1).is_none()) {
      MLXR_ASSIGN_OR_RETURN(const Value part, get_path(call.run, item, call.at(1)));
      MLXR_RETURN_IF_ERROR(print(part, call.run.budget(), out));
    } else {
      MLXR_RETURN_IF_ERROR(print(item, call.run.budget(), out));
    }
  }
  return Value::text(std::move(out));
}

// Keeps what a URL may hold and `safe`. In the query part a space is a plus.
void append_quoted_url(std::string& out, std::string_view text, std::string_view safe, bool query) {
  for (const char c : text) {
    if (query && c == ' ') {
      out += '+';
      continue;
    }
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("_.-~").find(c) != std::string_view::npos ||
                       safe.find(c) != std::string_view::npos;
    if (plain) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
}

Result<Value> filter_urlencode(Call& call) {
  std::string out;
  if (!call.self.is_mapping() && (call.self.is_text() || !call.self.is_sequence())) {
    MLXR_ASSIGN_OR_RETURN(const std::string text, input_text(call));
    append_quoted_url(out, text, "/", /*query=*/false);
    return Value::text(std::move(out));
  }
  std::vector<Value::Entry> pairs;
  if (call.self.is_mapping()) {
    pairs = call.self.as_mapping().entries;
  } else {
    MLXR_ASSIGN_OR_RETURN(const Value items, iterate(call.run, call.self));
    for (const Value& item : items.as_sequence().items) {
      if (!item.is_sequence() || item.as_sequence().items.size() != 2) {
        return invalid_argument("urlencode needs pairs of a key and a value");
      }
      pairs.emplace_back(item.as_sequence().items[0], item.as_sequence().items[1]);
    }
  }
  for (const auto& [key, value] : pairs) {
    MLXR_ASSIGN_OR_RETURN(const std::string key_text, to_text(key, call.run.budget()));
    MLXR_ASSIGN_OR_RETURN(const std::string value_text, to_text(value, call.run.budget()));
    if (!out.empty()) out += '&';
    append_quoted_url(out, key_text, "", /*query=*/true);
    out += '=';
    append_quoted_url(out, value_text, "", /*query=*/true);
  }
  return Value::text(std::move(out));
}

// json.dumps(x, ensure_ascii, indent, separators, sort_keys).
Result<Value> filter_tojson(Call& call) {
  JsonStyle style;
  style.ensure_ascii = call.flag(0, false);
  if (call.has(1) && call.at(1).is_text()) {
    style.indent = call.at(1).as_text();
  } else if (call.has(1) && !call.at(1).is_none()) {
    MLXR_ASSIGN_OR_RETURN(const std::int64_t width, call.integer(1, 0));
    const auto spaces = static_cast<std::size_t>(std::max<std::int64_t>(width, 0));
    MLXR_RETURN_IF_ERROR(call.run.budget().allocate(spaces));
    style.indent = std::string(spaces, ' ');
  }
  if (style.indent) style.item_separator = std::string(",");
  if (call.has(2) && !call.at(2).is_none()) {
    const Value& pair = call.at(2);
    if (!pair.is_sequence() || pair.as_sequence().items.size() != 2) {
      return invalid_argument("tojson: separators must be a pair of strings");
    }
    MLXR_ASSIGN_OR_RETURN(style.item_separator, to_text(pair.as_sequence().items[0], call.run.budget()));
    MLXR_ASSIGN_OR_RETURN(style.key_separator, to_text(pair.as_sequence().items[1], call.run.budget()));
  }
  style.sort_keys = call.flag(3, false);
  std::string out;
  MLXR_RETURN_IF_ERROR(print_json(call.self, style, call.run.budget(), out));
  return Value::text(std::move(out));
}

constexpr std::array<Builtin, 20> kFilters = {{
    {"upper", "", filter_upper},
    {"lower", "", filter_lower},
    {"capitalize", "", filter_capitalize},
    {"title", "", filter_title},
    {"trim", "chars?", filter_trim},
    {"string", "", filter_string},
    {"safe", "", filter_safe},
    {"escape", "", filter_escape},
    {"e", "", filter_escape},
    {"forceescape", "", filter_forceescape},
    {"striptags", "", filter_striptags},
    {"replace", "old new count?", filter_replace},
    {"indent", "width? first? blank?", filter_indent},
    {"center", "width?", filter_center},
    {"truncate", "length? killwords? end? leeway?", filter_truncate},
    {"wordcount", "", filter_wordcount},
    {"format", "*", filter_format},
    {"join", "d? attribute?", filter_join},
    {"urlencode", "", filter_urlencode},
    {"tojson", "ensure_ascii? indent? separators? sort_keys?", filter_tojson},
}};

}  // namespace

std::span<const Builtin> text_filters() {
  return kFilters;
}

}  // namespace mlxr::jinja
