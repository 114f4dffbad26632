#include "core/tensor/shape.h"

#include "core/base/check.h"

namespace mlxr {

Shape::Shape(std::initializer_list<std::int64_t> dims) : Shape(std::span(dims.begin(), dims.size())) {}

Shape::Shape(std::span<const std::int64_t> dims) : rank_(dims.size()) {
  MLXR_CHECK(dims.size() <= kMaxRank, "a tensor has at most four dimensions");
  for (std::size_t i = 0; i < rank_; ++i) {
    MLXR_CHECK(dims[i] >= 0, "a dimension is not negative");
    dims_[i] = dims[i];
  }
}

std::int64_t Shape::rows() const {
  std::int64_t product = 1;
  for (std::size_t i = 0; i + 1 < rank_; ++i)
    product *= dims_[i];
  return product;
}

std::int64_t Shape::num_elements() const {
  return rows() * back();
}

bool Shape::operator==(const Shape& other) const {
  if (rank_ != other.rank_) return false;
  for (std::size_t i = 0; i < rank_; ++i) {
    if (dims_[i] != other.dims_[i]) return false;
  }
  return true;
}

std::string Shape::to_string() const {
  std::string text = "[";
  for (std::size_t i = 0; i < rank_; ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(dims_[i]);
  }
  return text + "]";
}

}  // namespace mlxr
