#pragma once
// Choosing the numbers of a K super-block: its binary16 scales, the small integers of its sub-blocks and the levels.
// The encoders only pack what these functions return. Pure; any thread may call them.

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/quant/kquant.h"
#include "core/quant/scale_search.h"

namespace mlxr {

// Q2_K, Q4_K, Q5_K: x = d * scale[s] * q - dmin * min[s].
struct MinsLayout {
  std::size_t sub_block;  // elements a sub-block
  int highest_level;      // q in 0..highest_level
  int highest_scale;      // scale and min in 0..highest_scale
};

struct MinsBlock {
  std::uint16_t d = 0;
  std::uint16_t dmin = 0;
  std::array<std::uint8_t, 16> scale{};
  std::array<std::uint8_t, 16> min{};
  std::array<std::int8_t, kSuperBlock> q{};
};

// `values` are 256 prepared values (prepare_values).
MinsBlock fit_mins_block(const WeightedValues& values, const MinsLayout& layout);

// Q3_K, Q6_K: x = d * scale[s] * q, sub-blocks of 16.
struct SignedLayout {
  LevelRange levels;
  LevelRange scales;
};

struct SignedBlock {
  std::uint16_t d = 0;
  std::array<std::int8_t, 16> scale{};
  std::array<std::int8_t, kSuperBlock> q{};
};

SignedBlock fit_signed_block(const WeightedValues& values, const SignedLayout& layout);

}  // namespace mlxr
