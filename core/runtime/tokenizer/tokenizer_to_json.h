#pragma once
// A GGUF file's tokenizer as a tokenizer.json of Hugging Face, for software that reads only those.

#include <nlohmann/json_fwd.hpp>

#include "core/base/status.h"
#include "core/io/metadata.h"

namespace mlxr {

// `metadata` has a tokenizer that tokenizer_from_gguf reads. Byte-level BPE keeps its merges; SentencePiece's scores
// become the merges that they rank, as transformers' converter derives them. kUnsupported for other kinds.
Result<nlohmann::json> tokenizer_to_json(const Metadata& metadata);

}  // namespace mlxr
