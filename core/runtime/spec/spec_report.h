#pragma once
// What speculation did for one request.

#include <cstdint>
#include <vector>

namespace mlxr {

struct SpecReport {
  std::int64_t steps = 0;           // that sampled
  std::int64_t proposed_steps = 0;  // of them with a proposal
  std::int64_t proposed = 0;        // tokens
  std::int64_t accepted = 0;
  std::vector<std::int64_t> proposed_at;  // by position in the proposal
  std::vector<std::int64_t> accepted_at;

  void add(std::int64_t num_proposed, std::int64_t num_accepted);

  // Share of the proposed tokens; 0 when there were none.
  double acceptance() const;
  // Of those proposed at a position, counted from 0.
  double acceptance_at(std::int64_t position) const;
  // Accepted tokens for each proposal; the token that the model adds itself is not counted.
  double mean_accepted() const;
};

}  // namespace mlxr
