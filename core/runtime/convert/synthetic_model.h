#pragma once
// Random weights in the shape of a real model, so that speed and memory can be measured anywhere without a download.
// The file is a valid GGUF of architecture llama, with a byte-level vocabulary unless told otherwise; its text is
// noise.

#include <cstdint>
#include <functional>
#include <string>

#include "core/models/model_config.h"
#include "core/runtime/convert/quant_mix.h"
#include "core/runtime/tokenizer/tokenizer.h"

namespace mlxr {

// A shape by name ("llama-3-8b"); kInvalidArgument lists the names.
Result<ModelConfig> synthetic_shape(std::string_view name);
std::string synthetic_shape_names();

struct SyntheticOptions {
  QuantMix mix;
  std::uint64_t seed = 1;
  const Tokenizer* tokenizer = nullptr;  // whose vocabulary to write; of at most config.vocab_size tokens
  std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)> progress;
};

// The same seed gives the same bytes. Weights are drawn block by block from a pool of encoded normal values whose scale
// keeps activations of the order of one.
Status write_synthetic_model(const ModelConfig& config, const std::string& out, const SyntheticOptions& options);

}  // namespace mlxr
