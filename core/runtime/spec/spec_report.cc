#include "core/runtime/spec/spec_report.h"

#include <algorithm>

namespace mlxr {
namespace {

double ratio(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

void SpecReport::add(std::int64_t num_proposed, std::int64_t num_accepted) {
  ++steps;
  if (num_proposed == 0) return;
  ++proposed_steps;
  proposed += num_proposed;
  accepted += num_accepted;
  const std::size_t length = std::max(proposed_at.size(), static_cast<std::size_t>(num_proposed));
  proposed_at.resize(length);
  accepted_at.resize(length);
  for (std::size_t i = 0; i < static_cast<std::size_t>(num_proposed); ++i) {
    ++proposed_at[i];
    if (i < static_cast<std::size_t>(num_accepted)) ++accepted_at[i];
  }
}

double SpecReport::acceptance() const {
  return ratio(accepted, proposed);
}

double SpecReport::acceptance_at(std::int64_t position) const {
  const auto index = static_cast<std::size_t>(position);
  return index < proposed_at.size() ? ratio(accepted_at[index], proposed_at[index]) : 0.0;
}

double SpecReport::mean_accepted() const {
  return ratio(accepted, proposed_steps);
}

}  // namespace mlxr
