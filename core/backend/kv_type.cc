#include "core/backend/kv_type.h"

#include <array>

#include "core/base/checked.h"

namespace mlxr {
namespace {

constexpr std::int64_t kNoScale = KvTypeInfo::kNoScale;
constexpr std::int64_t kScaleOfHead = KvTypeInfo::kScaleOfHead;

constexpr std::array kRows = {
#define MLXR_KV_TYPE(name, text, code_bits, scale_elements) KvTypeInfo{text, code_bits, scale_elements},
#include "core/backend/kv_type.def"
#undef MLXR_KV_TYPE
};

constexpr std::int64_t kScaleBytes = 2;

}  // namespace

const KvTypeInfo& kv_type_info(KvType type) {
  return kRows[static_cast<std::size_t>(type)];
}

std::optional<KvType> kv_type_by_name(std::string_view name) {
  for (std::size_t i = 0; i < kRows.size(); ++i) {
    if (name == kRows[i].name) return static_cast<KvType>(i);
  }
  return std::nullopt;
}

std::string kv_type_names() {
  std::string names;
  for (const KvTypeInfo& row : kRows)
    names += (names.empty() ? "" : ", ") + std::string(row.name);
  return names;
}

std::int64_t kv_scale_span(KvType type, std::int64_t dim) {
  const std::int64_t span = kv_type_info(type).scale_elements;
  return span > 0 ? span : dim;
}

std::optional<std::size_t> kv_row_bytes(KvType type, std::int64_t dim) {
  const KvTypeInfo& info = kv_type_info(type);
  if (dim < 1 || dim % kv_scale_span(type, dim) != 0) return std::nullopt;
  const auto bits = checked_mul(dim, info.code_bits);
  if (!bits) return std::nullopt;
  const std::int64_t scales = info.has_scales() ? dim / kv_scale_span(type, dim) * kScaleBytes : 0;
  const auto bytes = checked_add(*bits / 8, scales);
  if (!bytes) return std::nullopt;
  return static_cast<std::size_t>(*bytes);
}

}  // namespace mlxr
