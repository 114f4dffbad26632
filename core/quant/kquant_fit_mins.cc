#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/float16.h"
#include "core/quant/kquant_fit.h"

namespace mlxr {
namespace {

// The integers of one sub-block.
struct Pair {
  int scale = 0;
  int min = 0;
};

// A candidate for the whole super-block; `error` belongs to exactly these numbers.
struct Candidate {
  float d = 0;
  float dmin = 0;
  std::array<Pair, 16> pairs{};
  float error = std::numeric_limits<float>::infinity();
};

// d and dmin as a file will hold them.
float as_f16(double value) {
  return f16_to_f32(f32_to_f16(static_cast<float>(std::clamp(value, 0.0, 65504.0))));
}

class MinsFitter {
 public:
  MinsFitter(const WeightedValues& values, const MinsLayout& layout)
      : values_(values), layout_(layout), levels_{.lowest = 0, .highest = layout.highest_level} {
    for (std::size_t s = 0; s < num_sub_blocks(); ++s) {
      ideal_[s] = search_scale_offset(sub_block(s), layout.highest_level, OffsetRule::kNotPositive);
      largest_scale_ = std::max(largest_scale_, ideal_[s].scale);
      largest_min_ = std::max(largest_min_, -ideal_[s].offset);
    }
  }

  std::size_t num_sub_blocks() const { return kSuperBlock / layout_.sub_block; }
  WeightedValues sub_block(std::size_t s) const { return values_.part(s * layout_.sub_block, layout_.sub_block); }
  LevelRange levels() const { return levels_; }

  static Grid grid(const Candidate& candidate, Pair pair) {
    return {.scale = candidate.d * static_cast<float>(pair.scale),
            .offset = -(candidate.dmin * static_cast<float>(pair.min))};
  }

  // Maps the largest ideal scale and min to the integers `scale_top` and `min_top`, then improves on that.
  Candidate descend(float scale_top, float min_top) const {
    Candidate candidate;
    candidate.d = as_f16(static_cast<double>(largest_scale_ / scale_top));
    candidate.dmin = as_f16(static_cast<double>(largest_min_ / min_top));
    for (std::size_t s = 0; s < num_sub_blocks(); ++s) {
      candidate.pairs[s] = {.scale = nearest(ideal_[s].scale, candidate.d),
                            .min = nearest(-ideal_[s].offset, candidate.dmin)};
    }
    improve_pairs(candidate);
    for (int round = 0; round < 4; ++round) {
      Candidate next = candidate;
      refit(next);
      improve_pairs(next);
      const bool settled = !(next.error < candidate.error * 0.9999F);
      if (next.error < candidate.error) candidate = next;
      if (settled) break;
    }
    return candidate;
  }

 private:
  int nearest(float value, float unit) const {
    if (unit == 0) return 0;
    return static_cast<int>(std::lrintf(std::clamp(value / unit, 0.0F, static_cast<float>(layout_.highest_scale))));
  }

  // Moves every pair to the best of its neighbours, and sums up the error.
  void improve_pairs(Candidate& candidate) const {
    candidate.error = 0;
    for (std::size_t s = 0; s < num_sub_blocks(); ++s) {
      const Pair start = candidate.pairs[s];
      float best = std::numeric_limits<float>::infinity();
      for (int scale = std::max(start.scale - 1, 0); scale <= std::min(start.scale + 1, layout_.highest_scale);
           ++scale) {
        for (int min = std::max(start.min - 1, 0); min <= std::min(start.min + 1, layout_.highest_scale); ++min) {
          const float error = grid_error(sub_block(s), levels_, grid(candidate, {scale, min}));
          if (error < best) {
            best = error;
            candidate.pairs[s] = {.scale = scale, .min = min};
          }
        }
      }
      candidate.error += best;
    }
  }

  // Least squares for d and dmin with the levels and pairs as they are.
  void refit(Candidate& candidate) const {
    double dd = 0, dm = 0, mm = 0, dx = 0, mx = 0;
    for (std::size_t s = 0; s < num_sub_blocks(); ++s) {
      const LevelSums sums = level_sums(sub_block(s), levels_, grid(candidate, candidate.pairs[s]));
      const double scale = candidate.pairs[s].scale;
      const double min = candidate.pairs[s].min;
      dd += scale * scale * static_cast<double>(sums.wqq);
      dm -= scale * min * static_cast<double>(sums.wq);
      mm += min * min * static_cast<double>(sums.w);
      dx += scale * static_cast<double>(sums.wxq);
      mx -= min * static_cast<double>(sums.wx);
    }
    const double determinant = dd * mm - dm * dm;
    if (determinant > 1e-9 * dd * mm) {
      const double d = (dx * mm - mx * dm) / determinant;
      const double dmin = (mx * dd - dx * dm) / determinant;
      if (d >= 0 && dmin >= 0) {
        candidate.d = as_f16(d);
        candidate.dmin = as_f16(dmin);
      }
    } else if (dd > 0 && mm == 0) {
      candidate.d = as_f16(dx / dd);
    }
  }

  WeightedValues values_;
  MinsLayout layout_;
  LevelRange levels_;
  std::array<Grid, 16> ideal_{};
  float largest_scale_ = 0;
  float largest_min_ = 0;
};

}  // namespace

MinsBlock fit_mins_block(const WeightedValues& values, const MinsLayout& layout) {
  const MinsFitter fitter(values, layout);
  const auto top = static_cast<float>(layout.highest_scale);
  Candidate best = fitter.descend(top, top);
  if (layout.highest_scale < 32) {
    for (const float scale_top : {top - 1, top + 1.5F}) {
      for (const float min_top : {top - 1, top + 1.5F}) {
        const Candidate candidate = fitter.descend(scale_top, min_top);
        if (candidate.error < best.error) best = candidate;
      }
    }
  }
  MinsBlock block;
  block.d = f32_to_f16(best.d);
  block.dmin = f32_to_f16(best.dmin);
  for (std::size_t s = 0; s < fitter.num_sub_blocks(); ++s) {
    block.scale[s] = static_cast<std::uint8_t>(best.pairs[s].scale);
    block.min[s] = static_cast<std::uint8_t>(best.pairs[s].min);
    assign_levels(fitter.sub_block(s), fitter.levels(), MinsFitter::grid(best, best.pairs[s]),
                  block.q.data() + s * layout.sub_block);
  }
  return block;
}

}  // namespace mlxr
