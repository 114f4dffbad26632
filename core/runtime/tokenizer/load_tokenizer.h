#pragma once
// Opens whatever holds a tokenizer, deciding by content: tokenizer.json, a SentencePiece .model, a tiktoken rank file,
// a GGUF file, or a folder with one of them (tokenizer.json first).

#include <memory>
#include <string>

#include "core/base/status.h"
#include "core/runtime/tokenizer/tokenizer.h"

namespace mlxr {

struct LoadTokenizerOptions {
  // GGUF's name of a pre-tokenizer ("llama-bpe"). Rank files need it; a GGUF file's own is overridden.
  std::string pre;
};

// Beside a tokenizer.json, tokenizer_config.json names the special tokens and generation_config.json what ends an
// answer. kNotFound when there is no such file, kUnsupported for a kind that is not read, kCorrupt for broken content;
// all name the file.
Result<std::unique_ptr<Tokenizer>> load_tokenizer(const std::string& path, const LoadTokenizerOptions& options = {});

}  // namespace mlxr
