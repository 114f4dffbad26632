#pragma once
// Text of tokens that come one by one. Never splits a character: bytes that may still become one are held back, bytes
// that cannot are U+FFFD at once. Belongs to one sequence; not thread-safe.

#include <string>

#include "core/runtime/tokenizer/tokenizer.h"

namespace mlxr {

struct StreamDecoderOptions {
  bool skip_special = true;
  // The tokens begin a text, so that the space SentencePiece puts there is dropped; false when they continue one.
  bool at_start = true;
};

class StreamDecoder {
 public:
  // `tokenizer` must outlive the decoder.
  explicit StreamDecoder(const Tokenizer& tokenizer, const StreamDecoderOptions& options = {});

  // The text that is certain after `token`; valid UTF-8, often empty in the middle of a character.
  std::string push(TokenId token);
  // What was held back, as U+FFFD. The decoder is then as new.
  std::string flush();

 private:
  const Tokenizer* tokenizer_;
  StreamDecoderOptions options_;
  std::string held_;
  bool at_start_;
};

}  // namespace mlxr
