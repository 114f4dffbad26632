#pragma once
// UTF-8 as the Unicode standard defines it (chapter 3, table 3-7): no surrogates, no overlong forms, nothing above
// U+10FFFF. Broken input is replaced one maximal subpart at a time, as the standard recommends and browsers do.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace mlxr {

inline constexpr char32_t kReplacementCharacter = 0xFFFD;

enum class Utf8State : std::uint8_t {
  kValid,       // a whole character
  kInvalid,     // bytes that no continuation can make valid
  kIncomplete,  // the text ends inside what may still become a character
};

struct Utf8Char {
  char32_t code_point = kReplacementCharacter;  // meaningful when valid
  std::uint8_t length = 0;  // bytes of the character, or of the maximal broken subpart; 0 at the end
  Utf8State state = Utf8State::kValid;
};

// The first character of `text`.
Utf8Char decode_utf8(std::string_view text);

// Appends `code_point`; surrogates and values above U+10FFFF become U+FFFD.
void append_utf8(std::string& out, char32_t code_point);

// Bytes of the longest valid prefix.
std::size_t valid_utf8_prefix(std::string_view text);
inline bool is_valid_utf8(std::string_view text) {
  return valid_utf8_prefix(text) == text.size();
}

// Bytes of `text` before a character that its end cuts off; text.size() when none is cut. Invalid bytes count as whole.
std::size_t complete_utf8_prefix(std::string_view text);

// `text` with every broken subpart replaced by U+FFFD.
std::string to_valid_utf8(std::string_view text);

// The White_Space property of Unicode.
bool is_white_space(char32_t code_point);

}  // namespace mlxr
