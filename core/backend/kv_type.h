#pragma once
// Types in which keys and values are kept, one row of kv_type.def each. Not DType (ops never compute with them) nor
// QuantType (which lays out weights in files).

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mlxr {

enum class KvType : std::uint8_t {
#define MLXR_KV_TYPE(name, text, code_bits, scale_elements) k##name,
#include "core/backend/kv_type.def"
#undef MLXR_KV_TYPE
};

struct KvTypeInfo {
  static constexpr std::int64_t kNoScale = 0;
  static constexpr std::int64_t kScaleOfHead = -1;
  const char* name;
  std::int64_t code_bits;
  std::int64_t scale_elements;

  bool has_scales() const { return scale_elements != kNoScale; }
};

const KvTypeInfo& kv_type_info(KvType type);
std::optional<KvType> kv_type_by_name(std::string_view name);
// "f32, f16, ...", for messages.
std::string kv_type_names();

// Bytes of one token's key or value of one head, scales included; nullopt when `dim` is below one or not a multiple of
// the elements that share a scale.
std::optional<std::size_t> kv_row_bytes(KvType type, std::int64_t dim);
// Elements that share a scale in a head of `dim`; `dim` for types without scales.
std::int64_t kv_scale_span(KvType type, std::int64_t dim);

}  // namespace mlxr
