#include "core/runtime/tokenizer/normalizer.h"

#include <algorithm>
#include <array>

#include <utf8proc.h>

#include "core/base/check.h"
#include "core/base/utf8.h"
#include "core/runtime/tokenizer/metaspace.h"

namespace mlxr {
namespace {

constexpr std::size_t kMaxDecomposition = 32;  // code points of one; 18 in Unicode 15

// No code point below this one is changed by NFC, nor combines.
bool below_u0300(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0xCC; });
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

int combining_class(utf8proc_int32_t c) {
  return utf8proc_get_property(c)->combining_class;
}

// Canonical ordering, by a stable sort: utf8proc's own is quadratic in a run of marks.
void order_marks(std::vector<utf8proc_int32_t>& text) {
  std::size_t at = 0;
  while (at < text.size()) {
    if (combining_class(text[at]) == 0) {
      ++at;
      continue;
    }
    std::size_t end = at;
    while (end < text.size() && combining_class(text[end]) != 0)
      ++end;
    std::stable_sort(text.begin() + static_cast<std::ptrdiff_t>(at), text.begin() + static_cast<std::ptrdiff_t>(end),
                     [](utf8proc_int32_t a, utf8proc_int32_t b) { return combining_class(a) < combining_class(b); });
    at = end;
  }
}

std::string lowercase(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Utf8Char c = decode_utf8(text);
    text.remove_prefix(c.length);
    // The one lowercase letter of Unicode that is two code points.
    if (c.code_point == 0x130) {
      out += "i\xCC\x87";
    } else {
      append_utf8(out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c.code_point))));
    }
  }
  return out;
}

std::string replace_text(std::string_view text, std::string_view from, std::string_view to) {
  if (from.empty()) return std::string(text);
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0;;) {
    const std::size_t found = text.find(from, at);
    out += text.substr(at, found - at);
    if (found == std::string_view::npos) return out;
    out += to;
    at = found + from.size();
  }
}

std::string replace_pattern(std::string_view text, const Regex& regex, std::string_view to) {
  std::string out;
  Regex::Search search(regex);
  search.start(text);
  TextRange match;
  std::size_t done = 0;
  while (search.next(match)) {
    out += text.substr(done, match.begin - done);
    out += to;
    done = match.end;
  }
  out += text.substr(done);
  return out;
}

std::string strip(std::string_view text, bool left, bool right) {
  while (left && !text.empty()) {
    const Utf8Char c = decode_utf8(text);
    if (!is_white_space(c.code_point)) break;
    text.remove_prefix(c.length);
  }
  while (right && !text.empty()) {
    std::size_t at = text.size() - 1;
    while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80)
      --at;
    if (!is_white_space(decode_utf8(text.substr(at)).code_point)) break;
    text = text.substr(0, at);
  }
  return std::string(text);
}

std::string collapse_spaces(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (c != ' ' || (!out.empty() && out.back() != ' ')) out += c;
  }
  // The end is trimmed after spaces have become U+2581, so that one of the text itself goes too.
  while (out.ends_with(' ') || out.ends_with(kSpaceMark))
    out.resize(out.size() - (out.back() == ' ' ? 1 : kSpaceMark.size()));
  return out;
}

}  // namespace

std::string normalize_unicode(std::string_view text, NormalForm form) {
  const bool compatible = form == NormalForm::kNfkc || form == NormalForm::kNfkd;
  const bool compose = form == NormalForm::kNfc || form == NormalForm::kNfkc;
  if (is_ascii(text) || (form == NormalForm::kNfc && below_u0300(text))) return std::string(text);
  const int base = UTF8PROC_STABLE | (compatible ? UTF8PROC_COMPAT : 0);
  std::vector<utf8proc_int32_t> points;
  points.reserve(text.size());
  std::array<utf8proc_int32_t, kMaxDecomposition> parts{};
  while (!text.empty()) {
    const Utf8Char c = decode_utf8(text);
    text.remove_prefix(c.length);
    int last_boundary = 0;
    const utf8proc_ssize_t count =
        utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c.code_point), parts.data(), kMaxDecomposition,
                                static_cast<utf8proc_option_t>(base | UTF8PROC_DECOMPOSE), &last_boundary);
    MLXR_CHECK(count >= 0 && static_cast<std::size_t>(count) <= kMaxDecomposition,
               "a decomposition is longer than any");
    points.insert(points.end(), parts.begin(), parts.begin() + count);
  }
  order_marks(points);
  if (compose) {
    const utf8proc_ssize_t count =
        utf8proc_normalize_utf32(points.data(), static_cast<utf8proc_ssize_t>(points.size()),
                                 static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    MLXR_CHECK(count >= 0, "composition cannot fail");
    points.resize(static_cast<std::size_t>(count));
  }
  std::string out;
  out.reserve(points.size() * 2);
  for (const utf8proc_int32_t c : points)
    append_utf8(out, static_cast<char32_t>(c));
  return out;
}

std::string Normalizer::apply(std::string_view text, bool continues) const {
  std::string out(text);
  for (const NormalizerStep& step : steps_) {
    switch (step.kind) {
      case NormalizerStep::Kind::kForm:
        out = normalize_unicode(out, step.form);
        break;
      case NormalizerStep::Kind::kLowercase:
        out = lowercase(out);
        break;
      case NormalizerStep::Kind::kReplaceText:
        out = replace_text(out, step.from, step.to);
        break;
      case NormalizerStep::Kind::kReplacePattern:
        out = replace_pattern(out, *step.regex, step.to);
        break;
      case NormalizerStep::Kind::kPrepend:
        if (!out.empty() && !continues) out.insert(0, step.to);
        break;
      case NormalizerStep::Kind::kStrip:
        out = strip(out, step.left, step.right);
        break;
      case NormalizerStep::Kind::kCollapseSpaces:
        out = collapse_spaces(out);
        break;
    }
  }
  return out;
}

}  // namespace mlxr
