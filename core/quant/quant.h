#pragma once
// Storage formats of weights: every GGUF tensor type and the plain types of safetensors. One row of quant.def a type;
// names, sizes, file ids, the CLI and the tests follow from the rows.
//
// This floor is the reference: portable, obviously right, one header a block format. Kernels are tested against it.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/base/status.h"

namespace mlxr {

enum class QuantType : std::uint8_t {
#define MLXR_QUANT(name, ...) k##name,
#include "core/quant/quant.def"
#undef MLXR_QUANT
};

// Decodes whole blocks: `blocks` holds out.size() / block_elements blocks.
using DecodeFn = void (*)(const std::byte* blocks, std::span<float> out);
// Encodes whole blocks. `importance` is empty or has one weight (>= 0) for each element of `in`; quantisation error of
// an element counts in proportion to it.
using EncodeFn = void (*)(std::span<const float> in, std::span<const float> importance, std::byte* blocks);

struct QuantInfo {
  QuantType type;
  const char* name;              // GGUF's name: "Q4_K"
  int gguf_id;                   // id in a GGUF file, -1 when the type has none
  const char* safetensors_name;  // "BF16", or nullptr
  std::size_t block_elements;    // elements a block, along the innermost dimension
  std::size_t block_bytes;
  DecodeFn decode;  // nullptr: the type is not decoded to f32 (integer types)
  EncodeFn encode;  // nullptr: the type is read, not written
};

const QuantInfo& quant_info(QuantType type);
std::span<const QuantInfo> all_quant_types();
// By GGUF's name, case-insensitive: "q4_k", "BF16".
std::optional<QuantType> quant_type_from_name(std::string_view name);
// kUnsupported with the reason for ids that were removed from the format or are unknown.
Result<QuantType> quant_type_from_gguf_id(std::uint32_t id);
std::optional<QuantType> quant_type_from_safetensors(std::string_view name);

// Bytes of one row of `elements`; nullopt when it is not a whole number of blocks or overflows.
std::optional<std::size_t> quant_row_bytes(QuantType type, std::size_t elements);

inline bool is_quantized(QuantType type) {
  return quant_info(type).block_elements > 1;
}

// Decodes a row (or several whole rows). Requires: data.size() == quant_row_bytes(type, out.size()), type decodes.
void decode_row(QuantType type, std::span<const std::byte> data, std::span<float> out);
// Encodes a row; `importance` as in EncodeFn. Requires a type that encodes and matching sizes.
void encode_row(QuantType type, std::span<const float> in, std::span<const float> importance, std::span<std::byte> out);

}  // namespace mlxr
