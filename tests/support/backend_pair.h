#pragma once
// For tests: the same op on the reference and on the CPU backend, with the same numbers.

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/backend/ops.h"
#include "core/backend/reference/reference_backend.h"
#include "core/kernels/cpu/cpu_backend.h"

namespace mlxr {

// Rounding error of one f32 operation, relative.
inline constexpr double kEpsilon = 0x1p-24;

// Deterministic numbers (SplitMix64).
class TestNumbers {
 public:
  explicit TestNumbers(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15U;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
  }
  // In [-limit, limit).
  float real(float limit) { return (static_cast<float>(next() >> 40) * 0x1p-23F - 1.0F) * limit; }
  std::int32_t below(std::int32_t n) { return static_cast<std::int32_t>(next() % static_cast<std::uint64_t>(n)); }
  std::vector<float> reals(std::int64_t n, float limit = 1.0F) {
    std::vector<float> values(static_cast<std::size_t>(n));
    for (float& value : values)
      value = real(limit);
    return values;
  }
  std::vector<std::int32_t> integers(std::int64_t n, std::int32_t below_what) {
    std::vector<std::int32_t> values(static_cast<std::size_t>(n));
    for (std::int32_t& value : values)
      value = below(below_what);
    return values;
  }

 private:
  std::uint64_t state_;
};

template <class T>
Tensor upload(Backend& backend, Shape shape, const std::vector<T>& values) {
  Tensor tensor = backend.alloc(shape, std::is_same_v<T, float> ? DType::kF32 : DType::kI32);
  backend.write(tensor, std::as_bytes(std::span(values)));
  return tensor;
}

inline std::vector<float> download(Backend& backend, const Tensor& tensor) {
  std::vector<float> values(static_cast<std::size_t>(tensor.shape().num_elements()));
  EXPECT_TRUE(backend.read(tensor, std::as_writable_bytes(std::span(values))).ok());
  return values;
}

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

inline std::unique_ptr<Backend> make_test_backend(Isa isa, int num_threads) {
  auto backend = make_cpu_backend({.num_threads = num_threads, .isa = isa});
  EXPECT_TRUE(backend.ok()) << backend.status().message();
  return std::move(backend).value();
}

// Every level that this machine can run.
inline std::vector<Isa> test_isas() {
  return available_isas(detect_cpu_features());
}

inline std::string isa_test_name(const testing::TestParamInfo<Isa>& info) {
  return isa_name(info.param);
}

}  // namespace mlxr
