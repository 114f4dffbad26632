#include "daemon/scheduler/step_cost_model.h"

#include <algorithm>
#include <cmath>

namespace mlxr {
namespace {

// An observation counts half after about 70 steps.
constexpr double kFade = 0.99;
// Terms are scaled to about 1, so that one penalty suits all.
constexpr double kDecodeScale = 1.0 / 16;
constexpr double kPrefillScale = 1.0 / 256;
constexpr double kAttentionScale = 1.0 / (256.0 * 1024);
// Weight of the last value of a coefficient, as a share of the observations' own.
constexpr double kInertia = 1e-3;
constexpr int kSweeps = 12;
// A step off by more than this many typical errors counts less, in proportion.
constexpr double kOutlierErrors = 4;

}  // namespace

void StepWork::add(std::int64_t tokens, std::int64_t context, bool prefill) {
  (prefill ? prefill_tokens : decode_tokens) += tokens;
  const auto rows = static_cast<double>(tokens);
  attended_tokens += rows * (static_cast<double>(context) + (rows + 1) / 2);
}

StepCostModel::Terms StepCostModel::terms_of(const StepWork& work) {
  return {1, static_cast<double>(work.decode_tokens) * kDecodeScale,
          static_cast<double>(work.prefill_tokens) * kPrefillScale, work.attended_tokens * kAttentionScale};
}

void StepCostModel::observe(const StepWork& work, double ms) {
  if (!(ms >= 0) || !std::isfinite(ms)) return;
  const Terms terms = terms_of(work);
  const double error = std::abs(ms - predict_ms(work));
  double weight = 1;
  if (ready()) {
    const double bound = kOutlierErrors * typical_error_ms_;
    if (error > bound) weight = std::max(0.05, bound / error);
    typical_error_ms_ += 0.05 * (error - typical_error_ms_);
  } else {
    // The first predictions are of nothing: a fifth of the step is a safe idea of their later error.
    typical_error_ms_ = std::max(typical_error_ms_, ms / 5);
  }
  for (std::size_t i = 0; i < kTerms; ++i) {
    for (std::size_t j = 0; j < kTerms; ++j)
      products_[i][j] = products_[i][j] * kFade + weight * terms[i] * terms[j];
    targets_[i] = targets_[i] * kFade + weight * terms[i] * ms;
  }
  ++num_observed_;
  if (work.prefill_tokens > 0) ++num_with_prefill_;
  solve();
}

// Coordinate descent from the last solution on |ms - terms * c|^2 + inertia * |c - last|^2 with c >= 0.
void StepCostModel::solve() {
  double trace = 0;
  for (std::size_t i = 0; i < kTerms; ++i)
    trace += products_[i][i];
  const double inertia = kInertia * trace / kTerms;
  const Terms last = coefficients_;
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    for (std::size_t i = 0; i < kTerms; ++i) {
      double rest = targets_[i] + inertia * last[i];
      for (std::size_t j = 0; j < kTerms; ++j)
        if (j != i) rest -= products_[i][j] * coefficients_[j];
      const double scale = products_[i][i] + inertia;
      if (scale > 0) coefficients_[i] = std::max(0.0, rest / scale);
    }
  }
}

double StepCostModel::predict_ms(const StepWork& work) const {
  const Terms terms = terms_of(work);
  double ms = 0;
  for (std::size_t i = 0; i < kTerms; ++i)
    ms += terms[i] * coefficients_[i];
  return ms;
}

double StepCostModel::prefill_ms(std::int64_t tokens, std::int64_t context) const {
  StepWork work;
  work.add(tokens, context, true);
  return predict_ms(work) - coefficients_[0];
}

std::int64_t StepCostModel::prefill_tokens_within(double ms, std::int64_t context, std::int64_t limit) const {
  if (ms <= 0 || limit <= 0) return 0;
  // n tokens cost n * linear + n^2 * square.
  const double square = coefficients_[3] * kAttentionScale / 2;
  const double linear = coefficients_[2] * kPrefillScale + square * (2 * static_cast<double>(context) + 1);
  if (prefill_ms(limit, context) <= ms) return limit;
  const double tokens = 2 * ms / (linear + std::sqrt(linear * linear + 4 * square * ms));
  return std::clamp(static_cast<std::int64_t>(tokens), std::int64_t{0}, limit);
}

}  // namespace mlxr
