#pragma once
// What a step costs, learned from the steps that ran: time = base + decode rows + prefill tokens + attention, where
// attention is the sum over rows of the tokens each looks back at. Least squares over observations that fade, held to
// coefficients of at least zero and near their last value where the observations say nothing.

#include <array>
#include <cstdint>

namespace mlxr {

struct StepWork {
  std::int64_t decode_tokens = 0;
  std::int64_t prefill_tokens = 0;
  double attended_tokens = 0;

  // `tokens` rows that follow a context of `context` tokens.
  void add(std::int64_t tokens, std::int64_t context, bool prefill);
};

class StepCostModel {
 public:
  // One step took `ms`. Steps far off the rest (a page fault, a first call) count less.
  void observe(const StepWork& work, double ms);

  // Whether enough steps were seen for predictions to mean something; steps with prefill, for those of prefill.
  bool ready() const { return num_observed_ >= kReadyAfter; }
  bool ready_for_prefill() const { return ready() && num_with_prefill_ >= kPrefillAfter; }
  double predict_ms(const StepWork& work) const;
  // The most prefill tokens after `context` that take at most `ms` beyond what the step takes anyway; at most `limit`.
  std::int64_t prefill_tokens_within(double ms, std::int64_t context, std::int64_t limit) const;
  // What `tokens` prefill tokens after `context` add to a step.
  double prefill_ms(std::int64_t tokens, std::int64_t context) const;

 private:
  static constexpr int kTerms = 4;
  static constexpr std::int64_t kReadyAfter = 8;
  static constexpr std::int64_t kPrefillAfter = 3;
  using Terms = std::array<double, kTerms>;

  static Terms terms_of(const StepWork& work);
  void solve();

  std::array<Terms, kTerms> products_{};  // faded sums of term x term
  Terms targets_{};                       // faded sums of term x ms
  Terms coefficients_{};
  double typical_error_ms_ = 0;
  std::int64_t num_observed_ = 0;
  std::int64_t num_with_prefill_ = 0;
};

}  // namespace mlxr
