#include "core/models/weight_table.h"

#include <charconv>

namespace mlxr {
namespace {

constexpr std::string_view kLayer = "{}";

std::string_view stem_of(const TensorRow& row, Naming naming) {
  return naming == Naming::kGguf ? row.gguf : row.hugging_face;
}

// The layer number in `name` where `pattern` has "{}" (-1 when it has none), if the rest is equal.
std::optional<std::int64_t> match_stem(std::string_view pattern, std::string_view name) {
  const std::size_t place = pattern.find(kLayer);
  if (place == std::string_view::npos) {
    return pattern == name ? std::optional<std::int64_t>(-1) : std::nullopt;
  }
  const std::string_view before = pattern.substr(0, place);
  const std::string_view after = pattern.substr(place + kLayer.size());
  if (name.size() <= before.size() + after.size() || !name.starts_with(before) || !name.ends_with(after)) {
    return std::nullopt;
  }
  const std::string_view digits = name.substr(before.size(), name.size() - before.size() - after.size());
  std::int64_t layer = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), layer);
  const bool canonical = digits.size() == 1 || digits[0] != '0';
  if (error != std::errc() || end != digits.data() + digits.size() || layer < 0 || !canonical) return std::nullopt;
  return layer;
}

}  // namespace

std::string tensor_stem(const TensorRow& row, Naming naming, std::int64_t layer) {
  std::string stem(stem_of(row, naming));
  const std::size_t place = stem.find(kLayer);
  if (place != std::string::npos) stem.replace(place, kLayer.size(), std::to_string(layer));
  return stem;
}

std::optional<TensorMatch> match_tensor(std::span<const TensorRow> rows, Naming naming, std::string_view name) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const std::string_view suffix = name.substr(dot + 1);
  if (suffix != "weight" && suffix != "bias") return std::nullopt;
  for (const TensorRow& row : rows) {
    if (const auto layer = match_stem(stem_of(row, naming), name.substr(0, dot)))
      return TensorMatch{&row, *layer, suffix};
  }
  return std::nullopt;
}

}  // namespace mlxr
