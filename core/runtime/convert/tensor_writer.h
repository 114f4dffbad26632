#pragma once
// Streams tensors from a source into a writer, changing type, row order and name on the way. Works slab by slab, so
// that a model larger than memory passes through; rows are encoded on several threads.

#include <functional>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/base/thread_pool.h"
#include "core/io/weight_source.h"
#include "core/io/weight_writer.h"
#include "core/runtime/convert/importance.h"

namespace mlxr {

enum class RowPermutation : std::uint8_t {
  kNone,
  kInterleave,    // each head's rows [first half, second half] -> pairs (Hugging Face to GGUF's llama)
  kDeinterleave,  // the reverse
};

struct PlannedTensor {
  std::string name;  // in the output
  QuantType type = QuantType::kF32;
  WeightTensor source;
  RowPermutation permutation = RowPermutation::kNone;
  std::int64_t head_rows = 0;  // rows of a head, for a permutation; even and a divisor of the rows
};

// What quantisation did to a tensor.
struct TensorReport {
  std::string name;
  QuantType from = QuantType::kF32;
  QuantType to = QuantType::kF32;
  std::size_t bytes = 0;
  double relative_error = 0.0;  // root mean square of the error over that of the values; 0 when nothing was rounded
};

struct TensorWriteOptions {
  const Importance* importance = nullptr;  // by output name
  std::function<void(const TensorReport&)> on_tensor;
};

// Declares all tensors, writes all and finishes. kUnsupported names a tensor whose type cannot be decoded or encoded;
// kInvalidArgument one whose importance does not fit its columns.
Status write_tensors(WeightWriter& writer, std::span<const PlannedTensor> tensors, ThreadPool& pool,
                     const TensorWriteOptions& options);

}  // namespace mlxr
