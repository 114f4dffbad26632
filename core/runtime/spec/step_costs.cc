#include "core/runtime/spec/step_costs.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace mlxr {
namespace {

// The first samples count alike, later ones a tenth: caches warm up, contexts grow.
constexpr std::int64_t kWindow = 10;
// A step that something else disturbed counts as one this much slower than usual.
constexpr double kMostSurprise = 3.0;

}  // namespace

void StepCosts::Average::add(double sample) {
  if (seen > 0) sample = std::min(sample, value * kMostSurprise);
  seen = std::min(seen + 1, kWindow);
  value += (sample - value) / static_cast<double>(seen);
}

std::size_t StepCosts::size_index(std::int64_t rows) {
  rows = std::clamp<std::int64_t>(rows, 1, (std::int64_t{1} << 16));
  if (rows <= kExact) return static_cast<std::size_t>(rows - 1);
  const auto log2 = static_cast<std::int64_t>(std::bit_width(static_cast<std::uint64_t>(rows))) - 1;
  const std::int64_t quarter = (rows - (std::int64_t{1} << log2)) * 4 >> log2;
  const std::int64_t index = kExact + (log2 - 5) * 4 + quarter;
  return std::min(static_cast<std::size_t>(index), kSizes - 1);
}

std::int64_t StepCosts::rows_of(std::size_t index) {
  const auto i = static_cast<std::int64_t>(index);
  if (i < kExact) return i + 1;
  const std::int64_t log2 = 5 + (i - kExact) / 4;
  const std::int64_t quarter = (i - kExact) % 4;
  // The middle of the sizes that share the place.
  return (std::int64_t{1} << log2) + (((std::int64_t{1} << log2) * (2 * quarter + 1)) >> 3);
}

void StepCosts::record_step(std::int64_t rows, double seconds) {
  if (rows <= 0 || !(seconds > 0) || !std::isfinite(seconds)) return;
  steps_[size_index(rows)].add(seconds);
  most_rows_ = std::max(most_rows_, rows);
}

void StepCosts::record_proposal(std::string_view proposer, std::int64_t tokens, double seconds) {
  if (tokens <= 0 || !(seconds >= 0) || !std::isfinite(seconds)) return;
  auto place = proposals_.find(proposer);
  if (place == proposals_.end()) place = proposals_.emplace(std::string(proposer), Average{}).first;
  place->second.add(seconds / static_cast<double>(tokens));
}

double StepCosts::step_seconds(std::int64_t rows) const {
  double below_rows = 0;
  double below = 0;  // the running maximum of what was seen for fewer rows
  for (std::size_t i = 0; i < kSizes; ++i) {
    if (steps_[i].seen == 0) continue;
    const auto here_rows = static_cast<double>(rows_of(i));
    const double here = std::max(steps_[i].value, below);
    if (i >= size_index(rows)) {
      if (below_rows == 0 || i == size_index(rows)) return here;
      const double share = (static_cast<double>(rows) - below_rows) / (here_rows - below_rows);
      return below + std::clamp(share, 0.0, 1.0) * (here - below);
    }
    below_rows = here_rows;
    below = here;
  }
  return below;
}

double StepCosts::proposal_seconds(std::string_view proposer, std::int64_t tokens) const {
  const auto place = proposals_.find(proposer);
  return place == proposals_.end() ? 0.0 : place->second.value * static_cast<double>(tokens);
}

}  // namespace mlxr
