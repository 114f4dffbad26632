#pragma once
// What steps and proposals cost on this machine with this model, learned from those that were run. Seconds from any
// clock; it has none itself. One a model, shared by its sequences; the engine thread owns it.

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace mlxr {

class StepCosts {
 public:
  // A step over `rows` tokens of all sequences took so long. Steps with prefill in them do not belong here.
  void record_step(std::int64_t rows, double seconds);
  // Asking a proposer (Proposer::name(), "draft") for tokens took so long. `tokens`: those it worked on; of a draft
  // model one more than it gave when it stopped early.
  void record_proposal(std::string_view proposer, std::int64_t tokens, double seconds);

  // Whether any step was seen.
  bool known() const { return most_rows_ > 0; }
  // The largest step seen.
  std::int64_t most_rows() const { return most_rows_; }
  // By the line between the nearest sizes seen; never less than for fewer rows; beyond the largest as much as that one,
  // so that it is tried. 0 when not known().
  double step_seconds(std::int64_t rows) const;
  // 0 for a proposer that was never asked.
  double proposal_seconds(std::string_view proposer, std::int64_t tokens) const;

 private:
  struct Average {
    double value = 0.0;
    std::int64_t seen = 0;
    void add(double sample);
  };
  // Exact to 32 rows, then four sizes for each doubling up to 2^16.
  static constexpr std::int64_t kExact = 32;
  static constexpr std::size_t kSizes = kExact + 4 * 12;
  static std::size_t size_index(std::int64_t rows);
  static std::int64_t rows_of(std::size_t index);

  std::array<Average, kSizes> steps_{};
  std::map<std::string, Average, std::less<>> proposals_;  // by token
  std::int64_t most_rows_ = 0;
};

}  // namespace mlxr
