#pragma once
// ModelConfig from the two kinds of files, and GGUF metadata back from a ModelConfig (for conversion).
// Keys: llama.cpp's src/llama-arch.cpp; Hugging Face's configuration classes of transformers 5.

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "core/base/status.h"
#include "core/io/metadata.h"
#include "core/models/model_config.h"

namespace mlxr {

// All but vocab_size, which a GGUF file tells by its embedding table. `architecture` prefixes the keys.
Result<ModelConfig> read_gguf_config(const Metadata& metadata, const std::string& architecture);
// `path` names the folder in errors.
Result<ModelConfig> read_hugging_face_config(const nlohmann::json& config, const std::string& architecture,
                                             const std::string& path);

// The keys that read_gguf_config reads, as llama.cpp writes them.
void write_gguf_config(const ModelConfig& config, Metadata& metadata);
// A config.json for transformers.
nlohmann::json write_hugging_face_config(const ModelConfig& config);

}  // namespace mlxr
