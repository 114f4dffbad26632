#pragma once
// Up to four dimensions, outermost first (row-major): [tokens, heads, head_dim]. A value.

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

namespace mlxr {

class Shape {
 public:
  static constexpr std::size_t kMaxRank = 4;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims);
  explicit Shape(std::span<const std::int64_t> dims);

  std::size_t rank() const { return rank_; }
  std::int64_t operator[](std::size_t axis) const { return dims_[axis]; }
  // Size of the innermost dimension; 1 for a scalar.
  std::int64_t back() const { return rank_ == 0 ? 1 : dims_[rank_ - 1]; }
  // Product of all dimensions but the innermost.
  std::int64_t rows() const;
  std::int64_t num_elements() const;
  bool operator==(const Shape& other) const;
  // "[3, 4096]"
  std::string to_string() const;

 private:
  std::array<std::int64_t, kMaxRank> dims_{};
  std::size_t rank_ = 0;
};

}  // namespace mlxr
