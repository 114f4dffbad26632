#pragma once
// Arithmetic on numbers that come from outside: every overflow is a std::nullopt, never a wrap.

#include <concepts>
#include <optional>

namespace mlxr {

template <std::integral T>
std::optional<T> checked_add(T a, T b) {
  T result;
  if (__builtin_add_overflow(a, b, &result)) return std::nullopt;
  return result;
}

template <std::integral T>
std::optional<T> checked_mul(T a, T b) {
  T result;
  if (__builtin_mul_overflow(a, b, &result)) return std::nullopt;
  return result;
}

// The value in another integer type, if it fits.
template <std::integral To, std::integral From>
std::optional<To> checked_cast(From value) {
  To result;
  if (__builtin_add_overflow(value, From{0}, &result)) return std::nullopt;
  return result;
}

}  // namespace mlxr
