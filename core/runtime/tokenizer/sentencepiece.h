#pragma once
// SentencePiece: the .model file (a protocol buffer) and the tokenizer that its pieces, scores and options make.
// Source: google/sentencepiece src/sentencepiece_model.proto.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/runtime/tokenizer/tokenizer.h"

namespace mlxr {

// What a file says, whichever file it is.
struct SentencePieceSpec {
  std::vector<Token> tokens;  // piece, score and type; bytes are filled in
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = false;
  // User-defined tokens are looked for in the text as it is, before the space goes in front of it (GGUF), instead of
  // in the normalised text.
  bool user_defined_first = false;
  std::optional<std::string> unknown_surface;  // what the unknown token decodes to, instead of its spelling
  bool add_bos = true;
  bool add_eos = false;
  SpecialTokens special;
};

// kCorrupt when a special id is out of range or the vocabulary is empty.
Result<std::unique_ptr<Tokenizer>> make_sentencepiece(SentencePieceSpec spec);

// A .model file. `path` names it in errors: kCorrupt with the offset for broken bytes, kUnsupported for a Unigram, word
// or character model and for a normalizer other than identity.
Result<std::unique_ptr<Tokenizer>> tokenizer_from_sentencepiece(std::span<const std::byte> bytes,
                                                                const std::string& path);

}  // namespace mlxr
