#include "core/runtime/tokenizer/byte_alphabet.h"

#include "core/base/utf8.h"

namespace mlxr {
namespace {

constexpr std::size_t kAlphabetEnd = 0x144;  // one past the last code point in use

constexpr bool prints_as_itself(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct Tables {
  std::array<char32_t, 256> character{};
  std::array<std::int16_t, kAlphabetEnd> byte{};
  constexpr Tables() {
    for (auto& entry : byte)
      entry = -1;
    char32_t next = 0x100;
    for (int b = 0; b < 256; ++b) {
      const char32_t c = prints_as_itself(b) ? static_cast<char32_t>(b) : next++;
      character[static_cast<std::size_t>(b)] = c;
      byte[c] = static_cast<std::int16_t>(b);
    }
  }
};

constexpr Tables kTables;

}  // namespace

const std::array<char32_t, 256>& byte_alphabet() {
  return kTables.character;
}

std::optional<std::uint8_t> alphabet_byte(char32_t code_point) {
  if (code_point >= kAlphabetEnd || kTables.byte[code_point] < 0) return std::nullopt;
  return static_cast<std::uint8_t>(kTables.byte[code_point]);
}

std::string to_byte_alphabet(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() + bytes.size() / 4);
  for (const char b : bytes)
    append_utf8(out, kTables.character[static_cast<unsigned char>(b)]);
  return out;
}

std::optional<std::string> from_byte_alphabet(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Utf8Char c = decode_utf8(text);
    if (c.state != Utf8State::kValid) return std::nullopt;
    const auto byte = alphabet_byte(c.code_point);
    if (!byte) return std::nullopt;
    out.push_back(static_cast<char>(*byte));
    text.remove_prefix(c.length);
  }
  return out;
}

}  // namespace mlxr
