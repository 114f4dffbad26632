#pragma once
// What a Tokenizer is made of. Loaders fill it; the exporters read it back.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/runtime/tokenizer/added_tokens.h"
#include "core/runtime/tokenizer/normalizer.h"
#include "core/runtime/tokenizer/pretokenizer.h"
#include "core/runtime/tokenizer/special_tokens.h"
#include "core/runtime/tokenizer/token_model.h"
#include "core/runtime/tokenizer/vocabulary.h"

namespace mlxr {

enum class TokenizerKind : std::uint8_t {
  kByteLevelBpe,   // merges over bytes
  kCharacterBpe,   // merges over characters, with U+2581 for the space
  kSentencePiece,  // scores over characters, with U+2581 for the space
  kTiktoken,       // ranks over bytes
};

// What decoding drops at the start of a text: the space that encoding put there, or all of them.
enum class LeadingSpace : std::uint8_t { kKeep, kDropOne, kDropAll };

struct TokenizerParts {
  TokenizerKind kind = TokenizerKind::kByteLevelBpe;
  std::unique_ptr<const Vocabulary> vocabulary;
  std::unique_ptr<const TokenModel> model;  // refers to the vocabulary
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  std::string pre_name;  // GGUF's name of the pre-tokenizer; empty when it has none
  AddedTokens added;
  std::vector<TokenId> prefix;  // what add_special puts around a text
  std::vector<TokenId> suffix;
  SpecialTokens special;
  LeadingSpace leading_space = LeadingSpace::kKeep;
};

}  // namespace mlxr
