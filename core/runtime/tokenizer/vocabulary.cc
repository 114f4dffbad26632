#include "core/runtime/tokenizer/vocabulary.h"

#include <charconv>
#include <utility>

#include <fmt/core.h>

namespace mlxr {

void TokenIndex::build(std::size_t count, const std::function<std::string_view(TokenId)>& key) {
  std::size_t capacity = 16;
  while (capacity < count * 2)
    capacity *= 2;
  slots_.assign(capacity, Slot{});
  for (std::size_t i = 0; i < count; ++i) {
    const auto id = static_cast<TokenId>(i);
    const std::string_view text = key(id);
    if (text.empty()) continue;
    const std::size_t hash = std::hash<std::string_view>{}(text);
    std::size_t at = hash & (capacity - 1);
    while (slots_[at].id != kNoToken && slots_[at].text != text)
      at = (at + 1) & (capacity - 1);
    if (slots_[at].id == kNoToken) slots_[at] = {text, hash, id};
  }
}

TokenId TokenIndex::find(std::string_view text) const {
  if (slots_.empty() || text.empty()) return kNoToken;
  const std::size_t mask = slots_.size() - 1;
  const std::size_t hash = std::hash<std::string_view>{}(text);
  for (std::size_t at = hash & mask; slots_[at].id != kNoToken; at = (at + 1) & mask) {
    if (slots_[at].hash == hash && slots_[at].text == text) return slots_[at].id;
  }
  return kNoToken;
}

Vocabulary::Vocabulary(std::vector<Token> tokens) : tokens_(std::move(tokens)) {
  pieces_.build(tokens_.size(), [&](TokenId id) { return std::string_view(token(id).piece); });
}

std::optional<std::uint8_t> parse_byte_piece(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece.back() != '>') return std::nullopt;
  std::uint8_t value = 0;
  const char* end = piece.data() + 5;
  const auto [stop, error] = std::from_chars(piece.data() + 3, end, value, 16);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

std::string byte_piece(std::uint8_t byte) {
  return fmt::format("<0x{:02X}>", byte);
}

}  // namespace mlxr
