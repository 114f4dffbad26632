#include "core/models/model_config.h"

#include <fmt/core.h>

namespace mlxr {
namespace {

struct Range {
  const char* field;
  std::int64_t value;
  std::int64_t max;
};

}  // namespace

Status ModelConfig::validate() const {
  // Bounds far above any model, low enough that products of two fit into 63 bits and no field asks for absurd memory.
  const Range ranges[] = {
      {"vocab_size", vocab_size, 1 << 24},     {"hidden_size", hidden_size, 1 << 20},
      {"num_layers", num_layers, 1 << 12},     {"num_heads", num_heads, 1 << 14},
      {"num_kv_heads", num_kv_heads, 1 << 14}, {"head_dim", head_dim, 1 << 14},
      {"ffn_size", ffn_size, 1 << 24},         {"context_length", context_length, 1 << 30},
  };
  for (const Range& range : ranges) {
    if (range.value < 1 || range.value > range.max) {
      return invalid_argument(
          fmt::format("model config: {} is {}, outside 1..{}", range.field, range.value, range.max));
    }
  }
  if (num_heads % num_kv_heads != 0) {
    return invalid_argument(
        fmt::format("model config: num_heads {} is not a multiple of num_kv_heads {}", num_heads, num_kv_heads));
  }
  if (sliding_window < 0) return invalid_argument(fmt::format("model config: sliding_window is {}", sliding_window));
  if (!(norm_eps >= 0.0F && norm_eps < 1.0F)) {
    return invalid_argument(fmt::format("model config: norm_eps is {}, outside 0..1", norm_eps));
  }
  if (rope.dim > head_dim) {
    return invalid_argument(fmt::format("model config: rope dimension {} exceeds head_dim {}", rope.dim, head_dim));
  }
  return rope.validate().with_context("model config");
}

}  // namespace mlxr
