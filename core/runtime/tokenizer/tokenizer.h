#pragma once
// Text to tokens and back, for every kind of vocabulary that load_tokenizer.h reads. Immutable and thread-safe.

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/runtime/tokenizer/special_tokens.h"
#include "core/runtime/tokenizer/vocabulary.h"

namespace mlxr {

struct EncodeOptions {
  bool add_special = false;   // BOS and EOS where the model wants them
  bool parse_special = true;  // special tokens written in the text are recognised
};

struct DecodeOptions {
  bool skip_special = false;
};

struct TokenizerParts;  // tokenizer_parts.h

class Tokenizer {
 public:
  explicit Tokenizer(TokenizerParts parts);
  ~Tokenizer();
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  // Any bytes are a text: what is not UTF-8 is encoded byte by byte where the vocabulary can. Time: n log n.
  std::vector<TokenId> encode(std::string_view text, const EncodeOptions& options = {}) const;

  // The bytes that the tokens spell; they need not be UTF-8. Ids outside of the vocabulary add nothing. The space that
  // SentencePiece puts before a text is taken away again.
  std::string decode(std::span<const TokenId> tokens, const DecodeOptions& options = {}) const;

  // The bytes that one token adds to a text, its leading space included; empty for ids outside of the vocabulary.
  std::string token_bytes(TokenId token) const;
  // As the vocabulary spells it; empty for ids outside of the vocabulary.
  std::string_view piece(TokenId token) const;
  std::optional<TokenId> find_piece(std::string_view piece) const;

  std::size_t vocab_size() const;
  // Control tokens: they mean something and are no part of a text.
  bool is_special(TokenId token) const;
  bool is_end_of_generation(TokenId token) const;
  const SpecialTokens& special() const;
  // Whether encode() with add_special puts BOS in front (a chat template may have done so already).
  bool adds_bos() const;
  // Decoding piecemeal: what of a token's bytes belongs to the text. `at_start` begins as true and says whether the
  // text is still to begin; at its start the space goes that encoding put there.
  std::string_view text_of(std::string_view bytes, bool& at_start) const;

  const TokenizerParts& parts() const { return *parts_; }

 private:
  std::unique_ptr<const TokenizerParts> parts_;
};

}  // namespace mlxr
