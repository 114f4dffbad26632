#pragma once
// Operations on UTF-8 text with Python's meaning: positions and lengths count code points. Bytes that are not UTF-8 are
// carried along unchanged; each stray byte at most merges into the character before it. Unicode data comes from
// utf8proc.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mlxr::jinja {

// Number of code points.
std::size_t text_length(std::string_view text);
// Byte offset of code point `point`; text.size() when there are not as many.
std::size_t text_offset(std::string_view text, std::size_t point);
// Each code point as a piece of `text`.
std::vector<std::string_view> text_points(std::string_view text);

// First position (in bytes) of `needle` at or after `from`, or npos; linear time whatever the texts are.
std::size_t find_text(std::string_view text, std::string_view needle, std::size_t from = 0);
// Last position (in bytes), or npos.
std::size_t rfind_text(std::string_view text, std::string_view needle);

enum class Side : std::uint8_t { kLeft, kRight, kBoth };
// Without the white space at the ends.
std::string_view strip_space(std::string_view text, Side side);
// Without any of the code points of `set` at the ends.
std::string_view strip_set(std::string_view text, std::string_view set, Side side);

// Runs of white space separate; at most `limit` splits when limit >= 0, from the right when `from_right`.
std::vector<std::string_view> split_space(std::string_view text, std::int64_t limit, bool from_right);
// Requires a separator that is not empty.
std::vector<std::string_view> split_at(std::string_view text, std::string_view separator, std::int64_t limit,
                                       bool from_right);
std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends);

std::string upper(std::string_view text);
std::string lower(std::string_view text);
// First code point in title case, the rest in lower case.
std::string capitalize(std::string_view text);
// Each run of letters capitalised.
std::string title(std::string_view text);
std::string swap_case(std::string_view text);

enum class TextClass : std::uint8_t {
  kSpace,
  kAlpha,
  kAlnum,
  kDigit,
  kDecimal,
  kNumeric,
  kLower,
  kUpper,
  kTitle,
  kAscii
};
// Python's isspace, isalpha ...: all code points are of the class and there is one (kAscii also holds for no text).
bool text_is(std::string_view text, TextClass text_class);
bool is_word_character(std::string_view point);

// Python's repr of a string.
std::string quoted(std::string_view text);
// The code point at the start of `text` and its bytes; -1 (and one byte) when it is not UTF-8. Requires text.
std::int32_t decode_code_point(std::string_view text, std::size_t& bytes);
void append_code_point(std::string& out, std::int32_t code_point);

}  // namespace mlxr::jinja
