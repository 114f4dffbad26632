#pragma once
// Bounds on what one rendering may cost. A template comes with a model file and is hostile until proven otherwise: it
// may neither hang, nor recurse without bound, nor eat memory.

#include <cstddef>
#include <cstdint>

#include "core/base/status.h"

namespace mlxr {

struct TemplateLimits {
  // Units of work: one a node evaluated, more for operations over long text (kBytesPerUnit bytes a unit).
  std::uint64_t max_work = 50'000'000;
  // Bytes of values made while rendering, freed or not; 64 times the size of the variables is added.
  std::uint64_t max_value_bytes = 256U << 20;
  std::size_t max_output_bytes = 64U << 20;
};

namespace jinja {

// Nesting of statements, expressions and macro calls in one rendering. A level takes about 1 KiB of stack.
inline constexpr int kMaxDepth = 400;
// Nesting of the syntax tree of a template.
inline constexpr int kMaxSyntaxDepth = 100;
// Nesting of lists and mappings in a value.
inline constexpr int kMaxValueDepth = 200;

class Budget {
 public:
  explicit Budget(const TemplateLimits& limits) : work_left_(limits.max_work), bytes_left_(limits.max_value_bytes) {}

  void add_value_bytes(std::uint64_t bytes) { bytes_left_ += bytes; }

  Status work(std::uint64_t units) {
    if (units > work_left_) return resource_exhausted("the template does too much work");
    work_left_ -= units;
    return {};
  }
  // A pass over `bytes` of text.
  Status scan(std::size_t bytes) { return work(1 + bytes / kBytesPerUnit); }
  // `bytes` are about to be allocated and written.
  Status allocate(std::size_t bytes) {
    if (bytes > bytes_left_) return resource_exhausted("the template needs too much memory");
    bytes_left_ -= bytes;
    return scan(bytes);
  }
  // As above for count * size; an overflow is too much.
  Status allocate(std::size_t count, std::size_t size) {
    std::size_t bytes = 0;
    if (__builtin_mul_overflow(count, size, &bytes)) return resource_exhausted("the template needs too much memory");
    return allocate(bytes);
  }

 private:
  static constexpr std::size_t kBytesPerUnit = 32;
  std::uint64_t work_left_;
  std::uint64_t bytes_left_;
};

}  // namespace jinja
}  // namespace mlxr
