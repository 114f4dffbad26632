#include "core/runtime/spec/spec_controller.h"

#include <algorithm>

#include "core/base/check.h"

namespace mlxr {
namespace {

// About the last twenty trials count.
constexpr double kFading = 0.95;

}  // namespace

SpecController::SpecController(std::string proposer, const SpecOptions& options)
    : proposer_(std::move(proposer)),
      options_(options),
      positions_(static_cast<std::size_t>(std::max<std::int64_t>(options.max_tokens, 0))),
      probe_after_(options.probe_after) {}

double SpecController::acceptance(std::int64_t position) const {
  double estimate = options_.prior_acceptance;
  for (std::size_t i = 0; i <= static_cast<std::size_t>(position) && i < positions_.size(); ++i) {
    estimate = positions_[i].estimate(estimate);
  }
  return estimate;
}

double SpecController::expected_tokens(std::int64_t k) const {
  double estimate = options_.prior_acceptance;
  double reached = 1.0;
  double sum = 1.0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(k) && i < positions_.size(); ++i) {
    estimate = positions_[i].estimate(estimate);
    reached *= estimate;
    sum += reached;
  }
  return sum;
}

double SpecController::rate(const StepCosts& costs, const SpecLoad& load, std::int64_t k) const {
  const double seconds = costs.step_seconds(load.rows + 1 + k) + costs.proposal_seconds(proposer_, k);
  return (load.tokens + expected_tokens(k)) / seconds;
}

std::int64_t SpecController::best_length(const StepCosts& costs, const SpecLoad& load, std::int64_t limit) const {
  // A size that was never run may cost anything: look at most twice as far as what is known.
  limit = std::min(limit, std::max(2 * costs.most_rows() - load.rows - 1, std::int64_t{1}));
  double best_rate = rate(costs, load, 0) * options_.least_gain;
  std::int64_t best = 0;
  for (std::int64_t k = 1; k <= limit; ++k) {
    const double here = rate(costs, load, k);
    if (here <= best_rate) continue;
    best_rate = here;
    best = k;
  }
  return best;
}

std::int64_t SpecController::num_tokens(const StepCosts& costs, const SpecLoad& load, std::int64_t limit) const {
  limit = std::min(limit, options_.max_tokens);
  if (limit <= 0) return 0;
  if (!costs.known()) return std::min(limit, options_.first_tokens);
  const std::int64_t best = best_length(costs, load, limit);
  if (best > 0) return best;
  return probe_due() ? std::min(limit, options_.probe_tokens) : 0;
}

void SpecController::record(std::int64_t proposed, std::int64_t accepted) {
  MLXR_CHECK(accepted >= 0 && accepted <= proposed, "more tokens accepted than were proposed");
  if (proposed == 0) {
    ++idle_tokens_;
    return;
  }
  const bool was_probe = probe_due();
  idle_tokens_ = 0;
  if (accepted > 0) {
    probe_after_ = options_.probe_after;
  } else if (was_probe) {
    probe_after_ = std::min(probe_after_ * 2, options_.probe_after_most);
  }
  for (std::size_t i = 0; i < static_cast<std::size_t>(std::min(accepted + 1, proposed)) && i < positions_.size();
       ++i) {
    Position& at = positions_[i];
    at.tried = at.tried * kFading + 1;
    at.right = at.right * kFading + (i < static_cast<std::size_t>(accepted) ? 1 : 0);
    at.prior *= kFading;
  }
}

}  // namespace mlxr
