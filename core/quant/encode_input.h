#pragma once
// What encoders make of their input first, so that no value from outside can break their arithmetic.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>

namespace mlxr {

// out = in with NaN as 0 and magnitudes above `limit` as `limit`. Returns the largest magnitude of out.
inline float clean_values(std::span<const float> in, float limit, std::span<float> out) {
  float largest = 0;
  for (std::size_t i = 0; i < in.size(); ++i) {
    out[i] = std::isnan(in[i]) ? 0.0F : std::clamp(in[i], -limit, limit);
    largest = std::max(largest, std::fabs(out[i]));
  }
  return largest;
}

// Weights of errors, relative to the largest: that is 1 and none is below 1e-6, so that an element that no one asked
// about still chooses its nearest code. A negative or non-finite importance counts as 0; all ones where none is
// positive.
inline void clean_weights(std::span<const float> importance, std::span<float> out) {
  float largest = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const bool usable = i < importance.size() && std::isfinite(importance[i]) && importance[i] > 0;
    out[i] = usable ? importance[i] : 0.0F;
    largest = std::max(largest, out[i]);
  }
  for (float& weight : out)
    weight = largest > 0 ? std::max(weight / largest, 1e-6F) : 1.0F;
}

}  // namespace mlxr
