#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/float16.h"
#include "core/quant/kquant_fit.h"

namespace mlxr {
namespace {

constexpr std::size_t kSub = 16;
constexpr std::size_t kNumSubs = kSuperBlock / kSub;

// A candidate for the whole super-block; `error` belongs to exactly these numbers.
struct Candidate {
  float d = 0;
  std::array<int, kNumSubs> scales{};
  float error = std::numeric_limits<float>::infinity();
};

float as_f16(double value) {
  return f16_to_f32(f32_to_f16(static_cast<float>(std::clamp(value, -65504.0, 65504.0))));
}

class SignedFitter {
 public:
  SignedFitter(const WeightedValues& values, const SignedLayout& layout) : values_(values), layout_(layout) {
    for (std::size_t s = 0; s < kNumSubs; ++s) {
      ideal_[s] = search_scale(sub_block(s), layout.levels).scale;
      if (std::fabs(ideal_[s]) > std::fabs(largest_)) largest_ = ideal_[s];
    }
  }

  WeightedValues sub_block(std::size_t s) const { return values_.part(s * kSub, kSub); }

  static Grid grid(const Candidate& candidate, int scale) {
    return {.scale = candidate.d * static_cast<float>(scale), .offset = 0};
  }

  // Maps the largest ideal scale to the number `top`, then improves on that.
  Candidate descend(float top) const {
    Candidate candidate;
    candidate.d = as_f16(static_cast<double>(largest_ / top));
    for (std::size_t s = 0; s < kNumSubs; ++s)
      candidate.scales[s] = nearest(ideal_[s], candidate.d);
    improve_scales(candidate);
    for (int round = 0; round < 4; ++round) {
      Candidate next = candidate;
      refit(next);
      improve_scales(next);
      const bool settled = !(next.error < candidate.error * 0.9999F);
      if (next.error < candidate.error) candidate = next;
      if (settled) break;
    }
    return candidate;
  }

 private:
  int nearest(float value, float unit) const {
    if (unit == 0) return 0;
    return static_cast<int>(std::lrintf(std::clamp(value / unit, static_cast<float>(layout_.scales.lowest),
                                                   static_cast<float>(layout_.scales.highest))));
  }

  // Moves every scale to the best of its neighbours, or of their negatives, and sums up the error.
  void improve_scales(Candidate& candidate) const {
    candidate.error = 0;
    for (std::size_t s = 0; s < kNumSubs; ++s) {
      const int start = candidate.scales[s];
      float best = std::numeric_limits<float>::infinity();
      for (int step = -1; step <= 1; ++step) {
        for (const int scale : {start + step, -start - step}) {
          if (scale < layout_.scales.lowest || scale > layout_.scales.highest) continue;
          const float error = grid_error(sub_block(s), layout_.levels, grid(candidate, scale));
          if (error < best) {
            best = error;
            candidate.scales[s] = scale;
          }
        }
      }
      candidate.error += best;
    }
  }

  // Least squares for d with the levels and scales as they are.
  void refit(Candidate& candidate) const {
    double squares = 0;
    double products = 0;
    for (std::size_t s = 0; s < kNumSubs; ++s) {
      const LevelSums sums = level_sums(sub_block(s), layout_.levels, grid(candidate, candidate.scales[s]));
      const double scale = candidate.scales[s];
      squares += scale * scale * static_cast<double>(sums.wqq);
      products += scale * static_cast<double>(sums.wxq);
    }
    if (squares > 0) candidate.d = as_f16(products / squares);
  }

  WeightedValues values_;
  SignedLayout layout_;
  std::array<float, kNumSubs> ideal_{};
  float largest_ = 0;
};

}  // namespace

SignedBlock fit_signed_block(const WeightedValues& values, const SignedLayout& layout) {
  const SignedFitter fitter(values, layout);
  const auto lowest = static_cast<float>(layout.scales.lowest);
  Candidate best;
  for (const float top : {lowest, lowest * 0.95F, lowest * 0.9F}) {
    const Candidate candidate = fitter.descend(top);
    if (candidate.error < best.error) best = candidate;
  }
  SignedBlock block;
  block.d = f32_to_f16(best.d);
  for (std::size_t s = 0; s < kNumSubs; ++s) {
    block.scale[s] = static_cast<std::int8_t>(best.scales[s]);
    assign_levels(fitter.sub_block(s), layout.levels, SignedFitter::grid(best, best.scales[s]),
                  block.q.data() + s * kSub);
  }
  return block;
}

}  // namespace mlxr
