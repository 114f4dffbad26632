#pragma once
// Which type each tensor of a model gets: one type for all, or a mix that spends more bits where they count. The rules
// are llama.cpp's published ones (src/llama-quant.cpp), so that "Q4_K_M" means the same thing to everybody.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/status.h"
#include "core/quant/quant.h"

namespace mlxr {

struct QuantMix {
  const char* name;         // "Q4_K_M", or the name of a type
  QuantType base;           // of matrices that no rule names
  std::uint32_t file_type;  // general.file_type of GGUF (llama_ftype)
};

// By name, case-insensitive: a mix, or a type that can be encoded. kInvalidArgument lists what there is.
Result<QuantMix> find_quant_mix(std::string_view name);
std::string quant_mix_names();

struct TensorPlace {
  std::string_view stem;  // GGUF's name without the layer: "attn_v", "ffn_down", "output", "token_embd"
  std::int64_t layer = 0;
  std::int64_t num_layers = 0;
  std::int64_t heads_per_kv_head = 1;
  bool tied_output = false;  // token_embd is the output matrix too
  bool has_importance = false;
  std::int64_t row_elements = 0;
};

// The type for a matrix. `pure`: the base type everywhere. Rows that are no whole number of blocks fall back to a type
// of smaller blocks, and at last to F16.
QuantType choose_type(const QuantMix& mix, const TensorPlace& place, bool pure);

}  // namespace mlxr
