#pragma once
// tokenizer.json of Hugging Face: byte-level BPE and character BPE with SentencePiece's conventions.
// Source: huggingface/tokenizers, the serialisation of Tokenizer.

#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/base/status.h"
#include "core/runtime/tokenizer/tokenizer.h"

namespace mlxr {

struct TokenizerJsonOptions {
  std::string path = "tokenizer.json";     // names the file in errors
  std::vector<TokenId> end_of_generation;  // more ids that end an answer (generation_config.json)
};

// `config` is tokenizer_config.json (null when there is none): it names BOS, EOS and so on. kCorrupt for broken
// content, kUnsupported for a well-formed tokenizer of another kind (Unigram, WordPiece).
Result<std::unique_ptr<Tokenizer>> tokenizer_from_json(const nlohmann::json& tokenizer, const nlohmann::json& config,
                                                       const TokenizerJsonOptions& options = {});

}  // namespace mlxr
