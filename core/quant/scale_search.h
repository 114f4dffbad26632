#pragma once
// Fitting a linear grid to weighted values: the search behind every encoder with a scale, or a scale and an offset.
//
// Elements x[i] with weights w[i] >= 0 are to become level * scale + offset, with integer levels in a range, such that
// the sum of w * (x - decoded)^2 is small. Levels follow from scale and offset by rounding, scale and offset from
// levels by least squares; the searches try many starting grids and alternate the two.
//
// Pure functions of finite input, without allocation; any thread may call them.

#include <cstddef>
#include <cstdint>
#include <span>

namespace mlxr {

// `n` values and their weights, not owned; n is a multiple of 4.
struct WeightedValues {
  const float* x;
  const float* w;
  std::size_t n;

  WeightedValues part(std::size_t begin, std::size_t count) const { return {x + begin, w + begin, count}; }
};

// Levels lowest..highest, both included; 0 is one of them.
struct LevelRange {
  int lowest;
  int highest;
};

struct Grid {
  float scale = 0;
  float offset = 0;
};

// Weighted squared error of rounding every value to the grid. A scale of zero puts every value on `offset`.
float grid_error(const WeightedValues& values, LevelRange range, Grid grid);

// The levels that grid_error() counts with.
void assign_levels(const WeightedValues& values, LevelRange range, Grid grid, std::int8_t* levels);

// Sums over the values with their levels on a grid, for least squares.
struct LevelSums {
  float w = 0;    // sum of w
  float wx = 0;   // of w x
  float wq = 0;   // of w level
  float wqq = 0;  // of w level^2
  float wxq = 0;  // of w x level
};
LevelSums level_sums(const WeightedValues& values, LevelRange range, Grid grid);

// The best grid found with offset 0. The scale may be negative: a range with one level more on the negative side serves
// a block by the sign of its largest value. A block of zeros has scale 0.
Grid search_scale(const WeightedValues& values, LevelRange range);

enum class OffsetRule : std::uint8_t { kAny, kNotPositive };

// The best grid found with levels 0..highest, scale >= 0 and an offset that obeys the rule.
Grid search_scale_offset(const WeightedValues& values, int highest, OffsetRule rule);

// What an encoder reads in place of its input: NaN becomes 0 and magnitudes stop at the largest binary16 value. Weights
// are the importance over its mean; what is not a finite value >= 0 counts as 0, and all zero or none as all equal.
// Weights do not grow with an element's own size: on the starter model that moved the output further from the
// unquantised one, with importance and without. `in`, `x`, `w` have one size; `importance` has it too or is empty.
void prepare_values(std::span<const float> in, std::span<const float> importance, float* x, float* w);

}  // namespace mlxr
