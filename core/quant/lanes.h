#pragma once
// Four floats side by side, as the vector types of g++ and clang. Each lane is computed as the scalar would be and
// lanes are summed in a fixed order, so results do not depend on the machine's registers.

#include <cstddef>
#include <cstring>

namespace mlxr {

using Lanes = float __attribute__((vector_size(16)));

inline constexpr std::size_t kLanes = 4;

// Reads lanes i .. i + 3 of `data`, which need not be aligned.
inline Lanes load_lanes(const float* data, std::size_t i) {
  Lanes lanes;
  std::memcpy(&lanes, data + i, sizeof(lanes));
  return lanes;
}

inline Lanes splat(float value) {
  return Lanes{} + value;
}

inline Lanes clamp_lanes(Lanes value, Lanes lowest, Lanes highest) {
  value = value < lowest ? lowest : value;
  return value > highest ? highest : value;
}

// To the nearest integer, ties to even. Requires magnitudes below 2^22: past 1.5 * 2^23 an f32 has no fraction bits.
inline Lanes round_lanes(Lanes value) {
  const Lanes shift = splat(12582912.0F);
  return (value + shift) - shift;
}

inline float sum_lanes(Lanes v) {
  return (v[0] + v[2]) + (v[1] + v[3]);
}

}  // namespace mlxr
