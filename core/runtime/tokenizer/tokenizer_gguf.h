#pragma once
// The tokenizer in a GGUF file's metadata (tokenizer.ggml.*), read and written.
// Source: ggml-org/ggml docs/gguf.md; ggml-org/llama.cpp src/llama-vocab.cpp for what keys mean when they are absent.

#include <cstddef>
#include <memory>
#include <string>

#include "core/base/status.h"
#include "core/io/metadata.h"
#include "core/runtime/tokenizer/tokenizer.h"

namespace mlxr {

struct TokenizerGgufOptions {
  std::string pre;  // instead of the file's own tokenizer.ggml.pre
};

// tokenizer.ggml.model "gpt2" (byte-level BPE) and "llama" (SentencePiece). kNotFound when the file has no tokenizer,
// kCorrupt for broken values, kUnsupported for other models ("bert", "t5", "rwkv") and for unknown pre-tokenizers; all
// name the file and the key.
Result<std::unique_ptr<Tokenizer>> tokenizer_from_gguf(const Metadata& metadata,
                                                       const TokenizerGgufOptions& options = {});

// Sets the keys that give the same tokenizer back. `vocab_size` is the number of rows of the embedding: missing tokens
// are filled up with unused "[PAD7]"; 0 means as many as there are. kUnsupported when GGUF has no name for the
// pre-tokenizer or the vocabulary is larger than `vocab_size`.
Status tokenizer_to_gguf(const Tokenizer& tokenizer, std::size_t vocab_size, Metadata& metadata);

}  // namespace mlxr
