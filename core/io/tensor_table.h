#pragma once
// The tensors of a WeightSource while it is built and after: in file order, names unique, found by name in O(1).
// Immutable once built, then thread-safe.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/status.h"
#include "core/io/weight_source.h"

namespace mlxr {

// Bytes of a tensor: rows * quant_row_bytes(type, innermost). `dims` are outermost first, of any rank. nullopt when the
// innermost dimension is not a whole number of blocks or when the elements or bytes overflow 63 bits.
std::optional<std::size_t> weight_bytes(QuantType type, std::span<const std::int64_t> dims);

// A shape of at most Shape::kMaxRank dimensions: those of a larger tensor (a convolution over time, say) are merged
// from the fourth on, which leaves the bytes as they are. Requires that weight_bytes() accepted `dims`.
Shape merged_shape(std::span<const std::int64_t> dims);

class TensorTable {
 public:
  // kCorrupt when the name is taken. Bytes that do not start at a multiple of the type's element size are copied to the
  // heap, so that kernels may read whole elements.
  Status add(WeightTensor tensor);

  std::span<const WeightTensor> tensors() const { return tensors_; }
  const WeightTensor* find(std::string_view name) const;
  void reserve(std::size_t count);

 private:
  struct NameHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const { return std::hash<std::string_view>{}(name); }
  };

  std::vector<WeightTensor> tensors_;
  std::unordered_map<std::string, std::size_t, NameHash, std::equal_to<>> index_;
};

}  // namespace mlxr
