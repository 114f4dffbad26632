#include "core/runtime/template/text.h"

#include <algorithm>
#include <array>

#include <fmt/core.h>
#include <utf8proc.h>

namespace mlxr::jinja {
namespace {

bool is_continuation(char byte) {
  return (static_cast<unsigned char>(byte) & 0xc0U) == 0x80U;
}

// Bytes of the code point that starts at `offset`.
std::size_t point_bytes(std::string_view text, std::size_t offset) {
  std::size_t end = offset + 1;
  while (end < text.size() && is_continuation(text[end]))
    ++end;
  return end - offset;
}

std::size_t previous_point(std::string_view text, std::size_t offset) {
  std::size_t start = offset - 1;
  while (start > 0 && is_continuation(text[start]))
    --start;
  return start;
}

// The code point, or -1 for bytes that are not UTF-8.
std::int32_t decode(std::string_view point) {
  utf8proc_int32_t code = -1;
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(point.data());
  const auto used = utf8proc_iterate(bytes, static_cast<utf8proc_ssize_t>(point.size()), &code);
  return used == static_cast<utf8proc_ssize_t>(point.size()) ? code : -1;
}

template <class Visit>
void for_each_point(std::string_view text, Visit visit) {
  for (std::size_t offset = 0; offset < text.size();) {
    const std::size_t bytes = point_bytes(text, offset);
    visit(text.substr(offset, bytes));
    offset += bytes;
  }
}

bool is_space_code(std::int32_t code) {
  if (code >= 0x1c && code <= 0x20) return true;
  if (code >= 0x09 && code <= 0x0d) return true;
  if (code == 0x85 || code == 0xa0 || code == 0x1680 || code == 0x2028 || code == 0x2029) return true;
  return (code >= 0x2000 && code <= 0x200a) || code == 0x202f || code == 0x205f || code == 0x3000;
}

bool is_space(std::string_view point) {
  if (point.size() == 1) return is_space_code(static_cast<unsigned char>(point[0]) < 0x80 ? point[0] : -1);
  return is_space_code(decode(point));
}

bool is_letter_category(utf8proc_category_t category) {
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

// Letters whose upper case is more than one letter; utf8proc only maps one to one.
struct LongUpper {
  std::int32_t code;
  const char* upper;
  const char* title;
};
constexpr std::array<LongUpper, 8> kLongUpper = {{{0xdf, "SS", "Ss"},
                                                  {0xfb00, "FF", "Ff"},
                                                  {0xfb01, "FI", "Fi"},
                                                  {0xfb02, "FL", "Fl"},
                                                  {0xfb03, "FFI", "Ffi"},
                                                  {0xfb04, "FFL", "Ffl"},
                                                  {0xfb05, "ST", "St"},
                                                  {0xfb06, "ST", "St"}}};

enum class Letter : std::uint8_t { kUpper, kLower, kTitle };

void append_cased(std::string& out, std::string_view point, Letter letter) {
  const std::int32_t code = decode(point);
  if (code < 0) {
    out += point;
    return;
  }
  if (letter != Letter::kLower) {
    for (const LongUpper& row : kLongUpper) {
      if (row.code != code) continue;
      out += letter == Letter::kUpper ? row.upper : row.title;
      return;
    }
  }
  switch (letter) {
    case Letter::kUpper:
      return append_code_point(out, utf8proc_toupper(code));
    case Letter::kLower:
      return append_code_point(out, utf8proc_tolower(code));
    case Letter::kTitle:
      return append_code_point(out, utf8proc_totitle(code));
  }
}

bool is_cased(std::int32_t code) {
  return code >= 0 && (utf8proc_islower(code) != 0 || utf8proc_isupper(code) != 0 ||
                       utf8proc_category(code) == UTF8PROC_CATEGORY_LT);
}

bool point_is(std::int32_t code, TextClass text_class) {
  const utf8proc_category_t category = utf8proc_category(code);
  switch (text_class) {
    case TextClass::kSpace:
      return is_space_code(code);
    case TextClass::kAlpha:
      return is_letter_category(category);
    case TextClass::kAlnum:
      return is_letter_category(category) || (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO);
    case TextClass::kDecimal:
      return category == UTF8PROC_CATEGORY_ND;
    case TextClass::kDigit:  // superscripts and subscripts are digits too
      return category == UTF8PROC_CATEGORY_ND || code == 0xb2 || code == 0xb3 || code == 0xb9 || code == 0x2070 ||
             (code >= 0x2074 && code <= 0x2079) || (code >= 0x2080 && code <= 0x2089);
    case TextClass::kNumeric:
      return category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO;
    case TextClass::kAscii:
      return code < 0x80;
    default:
      return false;
  }
}

// islower, isupper, istitle: a condition on cased letters, of which there must be one.
bool cased_text_is(std::string_view text, TextClass text_class) {
  bool any = false;
  bool good = true;
  bool previous_cased = false;
  for_each_point(text, [&](std::string_view point) {
    const std::int32_t code = decode(point);
    const bool cased = is_cased(code);
    if (cased) {
      any = true;
      const bool is_lower = utf8proc_islower(code) != 0;
      if (text_class == TextClass::kLower) good = good && is_lower;
      if (text_class == TextClass::kUpper) good = good && utf8proc_isupper(code) != 0;
      if (text_class == TextClass::kTitle) good = good && is_lower == previous_cased;
    }
    previous_cased = cased;
  });
  return any && good;
}

bool printable(std::int32_t code) {
  if (code == ' ') return true;
  switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
      return false;
    default:
      return true;
  }
}

bool is_line_end(std::int32_t code) {
  return (code >= 0x0a && code <= 0x0d) || (code >= 0x1c && code <= 0x1e) || code == 0x85 || code == 0x2028 ||
         code == 0x2029;
}

// Knuth-Morris-Pratt, for needles long enough that a naive search could take quadratic time.
std::size_t find_long(std::string_view text, std::string_view needle) {
  if (needle.size() > text.size()) return std::string_view::npos;
  std::vector<std::size_t> border(needle.size(), 0);
  for (std::size_t i = 1, matched = 0; i < needle.size(); ++i) {
    while (matched > 0 && needle[i] != needle[matched])
      matched = border[matched - 1];
    if (needle[i] == needle[matched]) ++matched;
    border[i] = matched;
  }
  for (std::size_t i = 0, matched = 0; i < text.size(); ++i) {
    while (matched > 0 && text[i] != needle[matched])
      matched = border[matched - 1];
    if (text[i] == needle[matched]) ++matched;
    if (matched == needle.size()) return i + 1 - needle.size();
  }
  return std::string_view::npos;
}

}  // namespace

std::int32_t decode_code_point(std::string_view text, std::size_t& bytes) {
  bytes = point_bytes(text, 0);
  const std::int32_t code = decode(text.substr(0, bytes));
  if (code < 0) bytes = 1;
  return code;
}

void append_code_point(std::string& out, std::int32_t code_point) {
  std::array<utf8proc_uint8_t, 4> bytes{};
  const auto count = utf8proc_encode_char(code_point, bytes.data());
  out.append(reinterpret_cast<const char*>(bytes.data()), static_cast<std::size_t>(count));
}

std::size_t text_length(std::string_view text) {
  std::size_t count = 0;
  for (const char byte : text)
    count += is_continuation(byte) ? 0 : 1;
  return count + (!text.empty() && is_continuation(text[0]) ? 1 : 0);
}

std::size_t text_offset(std::string_view text, std::size_t point) {
  std::size_t offset = 0;
  for (std::size_t i = 0; i < point && offset < text.size(); ++i)
    offset += point_bytes(text, offset);
  return offset;
}

std::vector<std::string_view> text_points(std::string_view text) {
  std::vector<std::string_view> points;
  for_each_point(text, [&](std::string_view point) { points.push_back(point); });
  return points;
}

std::size_t find_text(std::string_view text, std::string_view needle, std::size_t from) {
  constexpr std::size_t kShortNeedle = 16;
  if (needle.size() <= kShortNeedle) return text.find(needle, from);
  if (from > text.size()) return std::string_view::npos;
  const std::size_t found = find_long(text.substr(from), needle);
  return found == std::string_view::npos ? found : found + from;
}

std::size_t rfind_text(std::string_view text, std::string_view needle) {
  std::string reversed_text(text.rbegin(), text.rend());
  std::string reversed_needle(needle.rbegin(), needle.rend());
  const std::size_t found = find_text(reversed_text, reversed_needle);
  return found == std::string_view::npos ? found : text.size() - found - needle.size();
}

std::string_view strip_space(std::string_view text, Side side) {
  if (side != Side::kRight) {
    while (!text.empty()) {
      const std::size_t bytes = point_bytes(text, 0);
      if (!is_space(text.substr(0, bytes))) break;
      text.remove_prefix(bytes);
    }
  }
  if (side != Side::kLeft) {
    while (!text.empty()) {
      const std::size_t start = previous_point(text, text.size());
      if (!is_space(text.substr(start))) break;
      text = text.substr(0, start);
    }
  }
  return text;
}

std::string_view strip_set(std::string_view text, std::string_view set, Side side) {
  std::vector<std::string_view> points = text_points(set);
  std::sort(points.begin(), points.end());
  const auto in_set = [&](std::string_view point) { return std::binary_search(points.begin(), points.end(), point); };
  if (side != Side::kRight) {
    while (!text.empty() && in_set(text.substr(0, point_bytes(text, 0))))
      text.remove_prefix(point_bytes(text, 0));
  }
  if (side != Side::kLeft) {
    while (!text.empty() && in_set(text.substr(previous_point(text, text.size())))) {
      text = text.substr(0, previous_point(text, text.size()));
    }
  }
  return text;
}

std::vector<std::string_view> split_space(std::string_view text, std::int64_t limit, bool from_right) {
  std::vector<std::string_view> parts;
  text = strip_space(text, from_right ? Side::kRight : Side::kLeft);
  while (!text.empty()) {
    if (limit >= 0 && static_cast<std::int64_t>(parts.size()) == limit) {
      parts.push_back(text);  // Python keeps the far end of the rest as it is
      break;
    }
    if (from_right) {
      std::size_t start = text.size();
      while (start > 0 && !is_space(text.substr(previous_point(text, start), start - previous_point(text, start)))) {
        start = previous_point(text, start);
      }
      parts.push_back(text.substr(start));
      text = strip_space(text.substr(0, start), Side::kRight);
    } else {
      std::size_t end = 0;
      while (end < text.size() && !is_space(text.substr(end, point_bytes(text, end))))
        end += point_bytes(text, end);
      parts.push_back(text.substr(0, end));
      text = strip_space(text.substr(end), Side::kLeft);
    }
  }
  if (from_right) std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<std::string_view> split_at(std::string_view text, std::string_view separator, std::int64_t limit,
                                       bool from_right) {
  std::vector<std::size_t> places;
  if (from_right && limit >= 0) {
    // Matches are counted from the right and must not overlap, so they are searched in the mirrored text.
    const std::string mirrored(text.rbegin(), text.rend());
    const std::string mirrored_separator(separator.rbegin(), separator.rend());
    for (std::size_t from = 0; static_cast<std::int64_t>(places.size()) < limit;) {
      const std::size_t found = find_text(mirrored, mirrored_separator, from);
      if (found == std::string::npos) break;
      places.push_back(text.size() - found - separator.size());
      from = found + separator.size();
    }
    std::reverse(places.begin(), places.end());
  } else {
    for (std::size_t from = 0; limit < 0 || static_cast<std::int64_t>(places.size()) < limit;) {
      const std::size_t found = find_text(text, separator, from);
      if (found == std::string_view::npos) break;
      places.push_back(found);
      from = found + separator.size();
    }
  }
  std::vector<std::string_view> parts;
  std::size_t start = 0;
  for (const std::size_t place : places) {
    parts.push_back(text.substr(start, place - start));
    start = place + separator.size();
  }
  parts.push_back(text.substr(start));
  return parts;
}

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  std::size_t start = 0;
  for (std::size_t offset = 0; offset < text.size();) {
    const std::size_t bytes = point_bytes(text, offset);
    if (!is_line_end(decode(text.substr(offset, bytes)))) {
      offset += bytes;
      continue;
    }
    std::size_t end = offset + bytes;
    if (text[offset] == '\r' && end < text.size() && text[end] == '\n') ++end;
    lines.push_back(text.substr(start, (keep_ends ? end : offset) - start));
    start = offset = end;
  }
  if (start < text.size()) lines.push_back(text.substr(start));
  return lines;
}

std::string upper(std::string_view text) {
  std::string out;
  for_each_point(text, [&](std::string_view point) { append_cased(out, point, Letter::kUpper); });
  return out;
}

std::string lower(std::string_view text) {
  std::string out;
  for_each_point(text, [&](std::string_view point) { append_cased(out, point, Letter::kLower); });
  return out;
}

std::string capitalize(std::string_view text) {
  std::string out;
  for_each_point(text, [&](std::string_view point) {
    append_cased(out, point, point.data() == text.data() ? Letter::kTitle : Letter::kLower);
  });
  return out;
}

std::string title(std::string_view text) {
  std::string out;
  bool previous_cased = false;
  for_each_point(text, [&](std::string_view point) {
    append_cased(out, point, previous_cased ? Letter::kLower : Letter::kTitle);
    previous_cased = is_cased(decode(point));
  });
  return out;
}

std::string swap_case(std::string_view text) {
  std::string out;
  for_each_point(text, [&](std::string_view point) {
    const std::int32_t code = decode(point);
    const bool is_upper = code >= 0 && utf8proc_isupper(code) != 0;
    append_cased(out, point, is_upper ? Letter::kLower : Letter::kUpper);
  });
  return out;
}

bool text_is(std::string_view text, TextClass text_class) {
  if (text_class == TextClass::kLower || text_class == TextClass::kUpper || text_class == TextClass::kTitle) {
    return cased_text_is(text, text_class);
  }
  bool good = !text.empty() || text_class == TextClass::kAscii;
  for_each_point(text, [&](std::string_view point) {
    const std::int32_t code = decode(point);
    good = good && code >= 0 && point_is(code, text_class);
  });
  return good;
}

bool is_word_character(std::string_view point) {
  const std::int32_t code = decode(point);
  return code == '_' || (code >= 0 && point_is(code, TextClass::kAlnum));
}

std::string quoted(std::string_view text) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const char quote = has_single && text.find('"') == std::string_view::npos ? '"' : '\'';
  std::string out(1, quote);
  for_each_point(text, [&](std::string_view point) {
    const std::int32_t code = decode(point);
    if (code == quote || code == '\\') {
      out += '\\';
      out += point;
    } else if (code == '\n') {
      out += "\\n";
    } else if (code == '\r') {
      out += "\\r";
    } else if (code == '\t') {
      out += "\\t";
    } else if (code < 0 || printable(code)) {
      out += point;
    } else if (code < 0x100) {
      out += fmt::format("\\x{:02x}", code);
    } else if (code < 0x10000) {
      out += fmt::format("\\u{:04x}", code);
    } else {
      out += fmt::format("\\U{:08x}", code);
    }
  });
  out += quote;
  return out;
}

}  // namespace mlxr::jinja
