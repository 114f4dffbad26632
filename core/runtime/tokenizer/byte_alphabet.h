#pragma once
// The alphabet of byte-level BPE: each of the 256 bytes has a printable character, so that a vocabulary is text.
// Source: openai/gpt-2, src/encoder.py. Bytes that print as themselves in Latin-1 keep their code point; the other 68
// take U+0100 and following, in order.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mlxr {

// Code point that stands for each byte.
const std::array<char32_t, 256>& byte_alphabet();

// The byte that `code_point` stands for.
std::optional<std::uint8_t> alphabet_byte(char32_t code_point);

// Bytes -> their spelling in the alphabet.
std::string to_byte_alphabet(std::string_view bytes);

// A spelling -> its bytes; nullopt when a character is not of the alphabet or the text is not UTF-8.
std::optional<std::string> from_byte_alphabet(std::string_view text);

}  // namespace mlxr
