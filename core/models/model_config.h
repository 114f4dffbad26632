#pragma once
// ModelConfig: the numbers of a decoder, read from a GGUF file's metadata or a Hugging Face config.json and checked. A
// value. Fields that only some architectures have keep their neutral default.

#include <cstdint>
#include <string>
#include <vector>

#include "core/backend/backend.h"
#include "core/graph/rope.h"

namespace mlxr {

// Which spelling of tensor names a source uses, and with it the order of rotated rows (see RopeStyle).
enum class Naming : std::uint8_t { kGguf, kHuggingFace };

struct ModelConfig {
  std::string architecture;  // GGUF's name: "llama"
  std::string name;          // for people; may be empty
  Naming naming = Naming::kGguf;
  std::int64_t vocab_size = 0;
  std::int64_t hidden_size = 0;
  std::int64_t num_layers = 0;
  std::int64_t num_heads = 0;
  std::int64_t num_kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t ffn_size = 0;
  std::int64_t context_length = 0;
  std::int64_t sliding_window = 0;  // 0: none
  float norm_eps = 1e-5F;
  bool tied_embeddings = false;
  Activation activation = Activation::kSilu;
  RopeConfig rope;

  // Ranges and divisibility; names the field that is wrong.
  Status validate() const;
};

}  // namespace mlxr
