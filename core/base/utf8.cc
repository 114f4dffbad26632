#include "core/base/utf8.h"

#include <cstring>

namespace mlxr {
namespace {

constexpr bool is_continuation(unsigned char byte) {
  return (byte & 0xC0) == 0x80;
}

Utf8Char broken(std::size_t length, std::size_t available) {
  const Utf8State state = length == available ? Utf8State::kIncomplete : Utf8State::kInvalid;
  return {kReplacementCharacter, static_cast<std::uint8_t>(length), state};
}

}  // namespace

Utf8Char decode_utf8(std::string_view text) {
  if (text.empty()) return {};
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1, Utf8State::kValid};
  std::size_t length = 0;
  char32_t code_point = 0;
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
    code_point = lead & 0x1Fu;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    code_point = lead & 0x0Fu;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    code_point = lead & 0x07u;
  } else {
    return {kReplacementCharacter, 1, Utf8State::kInvalid};
  }
  // Only the second byte has a narrower range: it excludes overlong forms, surrogates and values above U+10FFFF.
  unsigned char low = 0x80;
  unsigned char high = 0xBF;
  if (lead == 0xE0) low = 0xA0;
  if (lead == 0xED) high = 0x9F;
  if (lead == 0xF0) low = 0x90;
  if (lead == 0xF4) high = 0x8F;
  for (std::size_t i = 1; i < length; ++i) {
    if (i == text.size()) return broken(i, i);
    const unsigned char next = byte(i);
    const bool fits = i == 1 ? next >= low && next <= high : is_continuation(next);
    if (!fits) return broken(i, text.size());
    code_point = (code_point << 6) | (next & 0x3Fu);
  }
  return {code_point, static_cast<std::uint8_t>(length), Utf8State::kValid};
}

void append_utf8(std::string& out, char32_t code_point) {
  if (code_point > 0x10FFFF || (code_point >= 0xD800 && code_point <= 0xDFFF)) code_point = kReplacementCharacter;
  const auto put = [&](char32_t byte) { out.push_back(static_cast<char>(static_cast<unsigned char>(byte))); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | (code_point >> 6));
    put(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    put(0xE0 | (code_point >> 12));
    put(0x80 | ((code_point >> 6) & 0x3F));
    put(0x80 | (code_point & 0x3F));
  } else {
    put(0xF0 | (code_point >> 18));
    put(0x80 | ((code_point >> 12) & 0x3F));
    put(0x80 | ((code_point >> 6) & 0x3F));
    put(0x80 | (code_point & 0x3F));
  }
}

std::size_t valid_utf8_prefix(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    // Text is mostly ASCII: eight bytes at a time.
    std::uint64_t word = 0;
    while (at + sizeof(word) <= text.size()) {
      std::memcpy(&word, text.data() + at, sizeof(word));
      if ((word & 0x8080808080808080u) != 0) break;
      at += sizeof(word);
    }
    if (at == text.size()) break;
    const Utf8Char next = decode_utf8(text.substr(at));
    if (next.state != Utf8State::kValid) return at;
    at += next.length;
  }
  return at;
}

std::size_t complete_utf8_prefix(std::string_view text) {
  // A cut character is at most three bytes long, so it starts in the last three.
  const std::size_t tail = text.size() < 3 ? text.size() : 3;
  for (std::size_t back = 1; back <= tail; ++back) {
    const std::size_t at = text.size() - back;
    if (is_continuation(static_cast<unsigned char>(text[at]))) continue;
    const Utf8Char last = decode_utf8(text.substr(at));
    return last.state == Utf8State::kIncomplete ? at : text.size();
  }
  return text.size();
}

std::string to_valid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t valid = valid_utf8_prefix(text);
    out.append(text.substr(0, valid));
    text.remove_prefix(valid);
    if (text.empty()) break;
    append_utf8(out, kReplacementCharacter);
    text.remove_prefix(decode_utf8(text).length);
  }
  return out;
}

bool is_white_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

}  // namespace mlxr
