#pragma once
// The tokens of a model: spelling, bytes, type and score by id, and the way back from a spelling or from bytes.
// Filled once by a loader, then immutable and thread-safe.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mlxr {

using TokenId = std::int32_t;
inline constexpr TokenId kNoToken = -1;

// GGUF's numbers (tokenizer.ggml.token_type).
enum class TokenType : std::uint8_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,      // special: has a meaning, not a text
  kUserDefined = 4,  // added after training: recognised whole before anything else
  kUnused = 5,
  kByte = 6,  // "<0x41>"
};

struct Token {
  std::string piece;  // as the vocabulary spells it
  std::string bytes;  // what it adds to a text
  TokenType type = TokenType::kNormal;
  float score = 0.0F;
};

// A hash table from strings to ids. The strings stay with the vocabulary, which must not change once indexed.
class TokenIndex {
 public:
  // Indexes `count` ids; `key` gives the string of an id, and an empty one leaves the id out. The first of two equal
  // strings wins.
  void build(std::size_t count, const std::function<std::string_view(TokenId)>& key);
  TokenId find(std::string_view text) const;  // kNoToken when absent

 private:
  struct Slot {
    std::string_view text;
    std::size_t hash = 0;
    TokenId id = kNoToken;
  };
  std::vector<Slot> slots_;  // a power of two, at most half full
};

class Vocabulary {
 public:
  // Takes the tokens, by id.
  explicit Vocabulary(std::vector<Token> tokens);
  Vocabulary(const Vocabulary&) = delete;
  Vocabulary& operator=(const Vocabulary&) = delete;
  Vocabulary(Vocabulary&&) noexcept = default;
  Vocabulary& operator=(Vocabulary&&) noexcept = default;

  std::size_t size() const { return tokens_.size(); }
  bool contains(TokenId id) const { return id >= 0 && static_cast<std::size_t>(id) < tokens_.size(); }
  // `id` must be contained.
  const Token& token(TokenId id) const { return tokens_[static_cast<std::size_t>(id)]; }
  TokenId find_piece(std::string_view piece) const { return pieces_.find(piece); }

 private:
  std::vector<Token> tokens_;
  TokenIndex pieces_;
};

// The byte that a token spelled "<0x41>" stands for.
std::optional<std::uint8_t> parse_byte_piece(std::string_view piece);
std::string byte_piece(std::uint8_t byte);

}  // namespace mlxr
