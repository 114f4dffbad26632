#pragma once
// WeightSource: named, typed, mapped tensors plus metadata, whatever the file (GGUF, safetensors, a Hugging Face
// folder). Immutable after open and thread-safe; tensors point into mappings that the source keeps alive.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/quant/quant.h"
#include "core/tensor/shape.h"

namespace mlxr {

// A tensor as stored. `shape` is outermost first for every file format (GGUF's dims are reversed on reading):
// a linear weight is [out_features, in_features] and blocks run along in_features.
struct WeightTensor {
  std::string name;
  QuantType type = QuantType::kF32;
  Shape shape;
  std::span<const std::byte> bytes;       // checked: exactly rows * quant_row_bytes(type, shape.back())
  std::shared_ptr<const void> keepalive;  // the mapping (or heap block) behind `bytes`
};

class WeightSource {
 public:
  virtual ~WeightSource() = default;
  // In file order; names are unique.
  virtual std::span<const WeightTensor> tensors() const = 0;
  // nullptr when absent. O(1).
  virtual const WeightTensor* find(std::string_view name) const = 0;
};

}  // namespace mlxr
