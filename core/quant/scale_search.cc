#include "core/quant/scale_search.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/quant/lanes.h"

namespace mlxr {
namespace {

constexpr float kLargestF16 = 65504.0F;

// Rounds values to levels of one grid, four at a time.
class Quantizer {
 public:
  Quantizer(LevelRange range, Grid grid)
      : lowest_(splat(static_cast<float>(range.lowest))),
        highest_(splat(static_cast<float>(range.highest))),
        scale_(splat(grid.scale)),
        offset_(splat(grid.offset)) {
    const float inverse = 1.0F / grid.scale;
    inverse_ = splat(std::isfinite(inverse) ? inverse : 0.0F);
  }

  Lanes levels(Lanes x) const { return round_lanes(clamp_lanes((x - offset_) * inverse_, lowest_, highest_)); }
  Lanes decoded(Lanes level) const { return level * scale_ + offset_; }

 private:
  Lanes lowest_;
  Lanes highest_;
  Lanes scale_;
  Lanes offset_;
  Lanes inverse_;
};

float largest_magnitude(const WeightedValues& values) {
  float largest = 0;
  for (std::size_t i = 0; i < values.n; ++i)
    largest = std::max(largest, std::fabs(values.x[i]));
  return largest;
}

// Least squares for the levels behind `sums`, with how much of sum(w x^2) it explains.
struct Fit {
  Grid grid;
  float gain = 0;
};

Fit fit_scale(const LevelSums& sums) {
  if (!(sums.wqq > 0)) return {};
  const float scale = sums.wxq / sums.wqq;
  return {{.scale = scale, .offset = 0}, scale * sums.wxq};
}

Fit fit_scale_offset(const LevelSums& sums, OffsetRule rule) {
  const float determinant = sums.w * sums.wqq - sums.wq * sums.wq;
  // All the weight on one level fixes one number, not two; what is left of the determinant is rounding.
  if (!(determinant > 1e-6F * sums.w * sums.wqq)) return {};
  const float scale = (sums.w * sums.wxq - sums.wx * sums.wq) / determinant;
  const float offset = (sums.wqq * sums.wx - sums.wq * sums.wxq) / determinant;
  if (rule == OffsetRule::kNotPositive && offset > 0) return fit_scale(sums);
  return {{.scale = scale, .offset = offset}, scale * sums.wxq + offset * sums.wx};
}

}  // namespace

float grid_error(const WeightedValues& values, LevelRange range, Grid grid) {
  const Quantizer quantizer(range, grid);
  Lanes sum{};
  for (std::size_t i = 0; i < values.n; i += kLanes) {
    const Lanes x = load_lanes(values.x, i);
    const Lanes error = x - quantizer.decoded(quantizer.levels(x));
    sum += load_lanes(values.w, i) * error * error;
  }
  return sum_lanes(sum);
}

void assign_levels(const WeightedValues& values, LevelRange range, Grid grid, std::int8_t* levels) {
  const Quantizer quantizer(range, grid);
  for (std::size_t i = 0; i < values.n; i += kLanes) {
    const Lanes level = quantizer.levels(load_lanes(values.x, i));
    for (std::size_t l = 0; l < kLanes; ++l)
      levels[i + l] = static_cast<std::int8_t>(level[l]);
  }
}

LevelSums level_sums(const WeightedValues& values, LevelRange range, Grid grid) {
  const Quantizer quantizer(range, grid);
  Lanes w_sum{}, wx_sum{}, wq_sum{}, wqq_sum{}, wxq_sum{};
  for (std::size_t i = 0; i < values.n; i += kLanes) {
    const Lanes x = load_lanes(values.x, i);
    const Lanes w = load_lanes(values.w, i);
    const Lanes level = quantizer.levels(x);
    const Lanes wq = w * level;
    w_sum += w;
    wx_sum += w * x;
    wq_sum += wq;
    wqq_sum += wq * level;
    wxq_sum += wq * x;
  }
  return {.w = sum_lanes(w_sum),
          .wx = sum_lanes(wx_sum),
          .wq = sum_lanes(wq_sum),
          .wqq = sum_lanes(wqq_sum),
          .wxq = sum_lanes(wxq_sum)};
}

Grid search_scale(const WeightedValues& values, LevelRange range) {
  const float largest = largest_magnitude(values);
  if (largest == 0) return {};
  const auto reach = static_cast<float>(-range.lowest);
  // Grids whose end lies from a little outside the largest value to well inside it: few levels gain from clipping.
  const float first = reach + 0.6F;
  const float last = std::max(0.55F * reach, reach - 6.0F);
  constexpr int kSteps = 18;
  Fit best;
  for (int step = 0; step <= kSteps; ++step) {
    const float ends_at = first + (last - first) * static_cast<float>(step) / kSteps;
    for (const float sign : {-1.0F, 1.0F}) {
      const Fit fit = fit_scale(level_sums(values, range, {.scale = sign * largest / ends_at, .offset = 0}));
      if (fit.gain > best.gain) best = fit;
    }
  }
  for (int round = 0; round < 4; ++round) {
    const Fit fit = fit_scale(level_sums(values, range, best.grid));
    if (fit.gain <= best.gain) break;
    best = fit;
  }
  return best.grid;
}

Grid search_scale_offset(const WeightedValues& values, int highest, OffsetRule rule) {
  const auto [least, most] = std::minmax_element(values.x, values.x + values.n);
  const float low = rule == OffsetRule::kNotPositive ? std::min(*least, 0.0F) : *least;
  const float width = *most - low;
  if (!(width > 0)) return {.scale = 0, .offset = low};
  const LevelRange range{.lowest = 0, .highest = highest};
  // Cut up to `reach` off each end; the coarser the grid, the more.
  const float reach = 1.4F / static_cast<float>(highest + 1);
  constexpr int kSteps = 5;
  Fit best;
  for (int i = -1; i < kSteps; ++i) {
    for (int j = -1; j < kSteps; ++j) {
      const float cut_low = reach * static_cast<float>(i) / kSteps * width;
      const float cut_high = reach * static_cast<float>(j) / kSteps * width;
      float offset = low + cut_low;
      if (rule == OffsetRule::kNotPositive) offset = std::min(offset, 0.0F);
      const float scale = (*most - cut_high - offset) / static_cast<float>(highest);
      const Fit fit = fit_scale_offset(level_sums(values, range, {.scale = scale, .offset = offset}), rule);
      if (fit.gain > best.gain && fit.grid.scale > 0) best = fit;
    }
  }
  for (int round = 0; round < 4; ++round) {
    const Fit fit = fit_scale_offset(level_sums(values, range, best.grid), rule);
    if (fit.gain <= best.gain || fit.grid.scale <= 0) break;
    best = fit;
  }
  if (best.gain == 0) return {.scale = width / static_cast<float>(highest), .offset = low};
  return best.grid;
}

void prepare_values(std::span<const float> in, std::span<const float> importance, float* x, float* w) {
  double total = 0;
  for (std::size_t i = 0; i < in.size(); ++i) {
    x[i] = std::isnan(in[i]) ? 0.0F : std::clamp(in[i], -kLargestF16, kLargestF16);
    w[i] = importance.empty() || !std::isfinite(importance[i]) ? 0.0F : std::max(importance[i], 0.0F);
    total += static_cast<double>(w[i]);
  }
  const double mean = total / static_cast<double>(in.size());
  for (std::size_t i = 0; i < in.size(); ++i) {
    w[i] = mean > 0 ? static_cast<float>(static_cast<double>(w[i]) / mean) : 1.0F;
  }
}

}  // namespace mlxr
