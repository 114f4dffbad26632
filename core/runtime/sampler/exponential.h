#pragma once
// exp for sampling: the same bits on every machine, unlike the C library's, and simple enough for compilers to
// vectorise.

#include <bit>
#include <cstdint>

namespace mlxr {

// exp(x) for x <= 0, within 2e-7 of it relatively; 0 below -87 (and for minus infinity). Range reduction by ln 2 in two
// parts, then the Taylor polynomial of degree 7 on [-ln 2 / 2, ln 2 / 2].
inline float exp_negative(float x) {
  constexpr float kLowest = -87.0F;
  constexpr float kLog2E = 1.44269504F;
  constexpr float kLn2High = 0.693359375F;
  constexpr float kLn2Low = -2.12194440e-4F;
  constexpr float kRounder = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer
  const float clamped = x > kLowest ? x : kLowest;
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
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(shifted) << 23;  // 2^whole, less the bias
  const float scaled = std::bit_cast<float>(std::bit_cast<std::uint32_t>(sum) + bits);
  return x > kLowest ? scaled : 0.0F;
}

}  // namespace mlxr
