#pragma once
// Element types of tensors that ops compute with. Formats in which weights are stored are QuantType (core/quant).

#include <cstddef>
#include <cstdint>

namespace mlxr {

enum class DType : std::uint8_t { kF32, kF16, kBF16, kI32 };

constexpr std::size_t dtype_bytes(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kI32 ? 4 : 2;
}

constexpr const char* dtype_name(DType dtype) {
  constexpr const char* kNames[] = {"f32", "f16", "bf16", "i32"};
  return kNames[static_cast<std::size_t>(dtype)];
}

}  // namespace mlxr
