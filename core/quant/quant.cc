#include "core/quant/quant.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "core/base/check.h"
#include "core/base/checked.h"
#include "core/quant/fp4.h"
#include "core/quant/iq.h"
#include "core/quant/iq4.h"
#include "core/quant/kquant.h"
#include "core/quant/legacy.h"
#include "core/quant/plain.h"
#include "core/quant/ternary.h"

namespace mlxr {
namespace {

constexpr QuantInfo kTypes[] = {
#define MLXR_QUANT(name, gguf_id, safetensors_name, block_elements, block_bytes, decode, encode) \
  {QuantType::k##name, #name, gguf_id, safetensors_name, block_elements, block_bytes, decode, encode},
#include "core/quant/quant.def"
#undef MLXR_QUANT
};

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
  });
}

// Ids that ggml removed: repacked layouts that older files may still name.
constexpr std::array<std::uint32_t, 8> kRemovedIds = {4, 5, 31, 32, 33, 36, 37, 38};

}  // namespace

const QuantInfo& quant_info(QuantType type) {
  return kTypes[static_cast<std::size_t>(type)];
}

std::span<const QuantInfo> all_quant_types() {
  return kTypes;
}

std::optional<QuantType> quant_type_from_name(std::string_view name) {
  for (const QuantInfo& info : kTypes) {
    if (equal_ignoring_case(info.name, name)) return info.type;
  }
  return std::nullopt;
}

Result<QuantType> quant_type_from_gguf_id(std::uint32_t id) {
  for (const QuantInfo& info : kTypes) {
    if (info.gguf_id >= 0 && static_cast<std::uint32_t>(info.gguf_id) == id) return info.type;
  }
  if (std::find(kRemovedIds.begin(), kRemovedIds.end(), id) != kRemovedIds.end()) {
    return unsupported("tensor type " + std::to_string(id) +
                       " was removed from the GGUF format: convert the model again");
  }
  return unsupported("tensor type " + std::to_string(id) + " is unknown");
}

std::optional<QuantType> quant_type_from_safetensors(std::string_view name) {
  for (const QuantInfo& info : kTypes) {
    if (info.safetensors_name != nullptr && name == info.safetensors_name) return info.type;
  }
  return std::nullopt;
}

std::optional<std::size_t> quant_row_bytes(QuantType type, std::size_t elements) {
  const QuantInfo& info = quant_info(type);
  if (elements % info.block_elements != 0) return std::nullopt;
  return checked_mul(elements / info.block_elements, info.block_bytes);
}

void decode_row(QuantType type, std::span<const std::byte> data, std::span<float> out) {
  const QuantInfo& info = quant_info(type);
  MLXR_CHECK(info.decode != nullptr, "the type does not decode to f32");
  MLXR_CHECK(quant_row_bytes(type, out.size()) == data.size(), "row size does not fit its bytes");
  info.decode(data.data(), out);
}

void encode_row(QuantType type, std::span<const float> in, std::span<const float> importance,
                std::span<std::byte> out) {
  const QuantInfo& info = quant_info(type);
  MLXR_CHECK(info.encode != nullptr, "the type is not encoded");
  MLXR_CHECK(quant_row_bytes(type, in.size()) == out.size(), "row size does not fit its bytes");
  MLXR_CHECK(importance.empty() || importance.size() == in.size(), "one importance an element");
  info.encode(in, importance, out.data());
}

}  // namespace mlxr
