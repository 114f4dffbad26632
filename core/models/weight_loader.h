#pragma once
// WeightLoader: takes an architecture's tensors out of a source into a backend, with every shape checked, and remembers
// what it took, so that a tensor nobody asked for is reported and not silently dropped.

#include <set>
#include <string>
#include <vector>

#include "core/backend/backend.h"
#include "core/io/weight_source.h"
#include "core/models/weight_table.h"

namespace mlxr {

class WeightLoader {
 public:
  WeightLoader(const WeightSource& source, Backend& backend, Naming naming)
      : source_(source), backend_(backend), naming_(naming) {}

  // A matrix of the given shape; kNotFound or kInvalidArgument naming the tensor.
  Result<Weight> matrix(const TensorRow& row, std::int64_t layer, Shape shape);
  // ".weight" (a norm) as f32 [n].
  Result<Tensor> vector(const TensorRow& row, std::int64_t layer, std::int64_t n);
  // ".bias" as f32 [n]; an empty handle when the file has none.
  Result<Tensor> bias(const TensorRow& row, std::int64_t layer, std::int64_t n);
  // Any one-dimensional tensor as host floats; empty when absent.
  Result<std::vector<float>> floats(const std::string& name, std::int64_t n);

  bool has(const TensorRow& row, std::int64_t layer) const;
  Naming naming() const { return naming_; }
  Backend& backend() const { return backend_; }
  // Names in the source that were never asked for.
  std::vector<std::string> unused() const;

 private:
  const WeightTensor* take(const std::string& name);
  Result<Tensor> constant(const WeightTensor& tensor, std::int64_t n);

  const WeightSource& source_;
  Backend& backend_;
  Naming naming_;
  std::set<std::string, std::less<>> used_;
};

}  // namespace mlxr
