#pragma once
// exp for sampling: the same bits on every machine, unlike the C library's, and simple enough for compilers to
// vectorise.

#include <bit>
#include <cstdint>
#include <limits>

namespace mlxr {

// exp(x) for x <= 0, within 2e-7 of it relatively; 0 below -87, for minus infinity and NaN. Range reduction by ln 2 in
// two parts, then the Taylor polynomial of degree 7 on [-ln 2 / 2, ln 2 / 2].
//
// The comparison is on the bits, where a larger magnitude is a larger integer once the sign bit is set, and the choices
// are masks: compilers do not vectorise a choice between floats.
inline float exp_negative(float x) {
  constexpr float kLog2E = 1.44269504F;
  constexpr float kLn2High = 0.693359375F;
  constexpr float kLn2Low = -2.12194440e-4F;
  constexpr float kRounder = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer
  constexpr std::int32_t kSign = std::numeric_limits<std::int32_t>::min();
  constexpr std::int32_t kLowest = std::bit_cast<std::int32_t>(-87.0F);
  const std::int32_t raw = std::bit_cast<std::int32_t>(x) | kSign;
  const std::int32_t in_range = -static_cast<std::int32_t>(raw <= kLowest);  // all ones or zero
  const float clamped = std::bit_cast<float>((raw & in_range) | (kLowest & ~in_range));
  const float shifted = clamped * kLog2E + kRounder;
  const float whole = shifted - kRounder;
  const float rest = (clamped - whole * kLn2High) - whole * kLn2Low;
  float sum = 1.0F / 5040.0F;
  sum = sum * rest + 1.0F / 720.0F;
  sum = sum * rest + 1.0F / 120.0F;
  sum = sum * rest + 1.0F / 24.0F;
  sum = sum * rest + 1.0F / 6.0F;
  sum = sum * rest + 0.5F;
  sum = sum * rest + 1.0F;
  sum = sum * rest + 1.0F;
  const std::uint32_t exponent = std::bit_cast<std::uint32_t>(shifted) << 23;  // 2^whole, less the bias
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(sum) + exponent;
  return std::bit_cast<float>(bits & static_cast<std::uint32_t>(in_range));
}

}  // namespace mlxr
