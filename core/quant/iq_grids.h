#pragma once
// The codebooks of the IQ formats: fixed tables that the formats index. Constant data, made at compile time.
// The numbers are ggml's (MIT licence, src/ggml-common.h: iq2xxs_grid, iq2xs_grid, iq2s_grid, iq3xxs_grid, iq3s_grid,
// iq1s_grid, ksigns_iq2xs, kvalues_iq4nl); they cannot be derived by rule. iq_grids.inc holds them packed.

#include <array>
#include <cstdint>

namespace mlxr {

// Rows of 8 magnitudes (8, 25, 43), one a byte: element j of a row is bits 8j..8j+7.
extern const std::array<std::uint64_t, 256> kIq2XxsGrid;
extern const std::array<std::uint64_t, 512> kIq2XsGrid;
extern const std::array<std::uint64_t, 1024> kIq2SGrid;
// Rows of 4 magnitudes: 4, 12, ..., 52, 62 and 1, 3, ..., 15.
extern const std::array<std::uint32_t, 256> kIq3XxsGrid;
extern const std::array<std::uint32_t, 512> kIq3SGrid;
// Rows of 8 signed values (-1, 0, 1), two's complement. IQ1_S and IQ1_M share it.
extern const std::array<std::uint64_t, 2048> kIq1Grid;

// The 8 signs that a 7-bit index stands for: bit j set makes element j negative. The index gives elements 0..6; element
// 7 makes the number of negative elements even.
constexpr std::uint8_t iq_signs(std::uint32_t index) {
  std::uint32_t parity = index;
  parity ^= parity >> 4;
  parity ^= parity >> 2;
  parity ^= parity >> 1;
  return static_cast<std::uint8_t>(index | ((parity & 1U) << 7));
}

// Levels of IQ4_NL and IQ4_XS, ascending.
inline constexpr std::array<std::int8_t, 16> kIq4Values = {-127, -104, -83, -65, -49, -35, -22, -10,
                                                           1,    13,   25,  38,  53,  69,  89,  113};

}  // namespace mlxr
