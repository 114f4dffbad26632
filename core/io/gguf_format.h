#pragma once
// Numbers of the GGUF format that the reader and the writer share.

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <variant>

#include "core/io/metadata.h"

namespace mlxr::gguf {

inline constexpr std::uint32_t kWriteVersion = 3;
inline constexpr std::uint32_t kMaxDims = 4;
inline constexpr std::size_t kMaxWrittenNameBytes = 63;  // ggml refuses longer tensor names
inline constexpr std::uint32_t kMinAlignment = 8;
inline constexpr std::uint32_t kMaxAlignment = 1U << 30;

inline constexpr const char* kAlignmentKey = "general.alignment";
inline constexpr const char* kSplitNoKey = "split.no";
inline constexpr const char* kSplitCountKey = "split.count";
inline constexpr const char* kSplitTensorsKey = "split.tensors.count";

enum class ValueType : std::uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12,
};

// Calls f(std::type_identity<T>{}) with the C++ type of a numeric value type; false for the others (bool, string,
// array, unknown).
template <class F>
bool visit_numeric_type(ValueType type, F&& f) {
  switch (type) {
    case ValueType::kU8:
      f(std::type_identity<std::uint8_t>{});
      return true;
    case ValueType::kI8:
      f(std::type_identity<std::int8_t>{});
      return true;
    case ValueType::kU16:
      f(std::type_identity<std::uint16_t>{});
      return true;
    case ValueType::kI16:
      f(std::type_identity<std::int16_t>{});
      return true;
    case ValueType::kU32:
      f(std::type_identity<std::uint32_t>{});
      return true;
    case ValueType::kI32:
      f(std::type_identity<std::int32_t>{});
      return true;
    case ValueType::kF32:
      f(std::type_identity<float>{});
      return true;
    case ValueType::kU64:
      f(std::type_identity<std::uint64_t>{});
      return true;
    case ValueType::kI64:
      f(std::type_identity<std::int64_t>{});
      return true;
    case ValueType::kF64:
      f(std::type_identity<double>{});
      return true;
    default:
      return false;
  }
}

template <class T>
constexpr ValueType value_type_of() {
  if constexpr (std::is_same_v<T, std::uint8_t>) return ValueType::kU8;
  if constexpr (std::is_same_v<T, std::int8_t>) return ValueType::kI8;
  if constexpr (std::is_same_v<T, std::uint16_t>) return ValueType::kU16;
  if constexpr (std::is_same_v<T, std::int16_t>) return ValueType::kI16;
  if constexpr (std::is_same_v<T, std::uint32_t>) return ValueType::kU32;
  if constexpr (std::is_same_v<T, std::int32_t>) return ValueType::kI32;
  if constexpr (std::is_same_v<T, float>) return ValueType::kF32;
  if constexpr (std::is_same_v<T, bool>) return ValueType::kBool;
  if constexpr (std::is_same_v<T, std::uint64_t>) return ValueType::kU64;
  if constexpr (std::is_same_v<T, std::int64_t>) return ValueType::kI64;
  if constexpr (std::is_same_v<T, double>) return ValueType::kF64;
  return ValueType::kString;
}

}  // namespace mlxr::gguf
