#include <algorithm>
#include <cmath>
#include <vector>

#include "core/runtime/sampler/exponential.h"
#include "core/runtime/sampler/stage.h"

namespace mlxr {
namespace {

// Keeps the surprise of the chosen tokens near a target by cutting the unlikely ones, more after a surprising token.
// Learns from what accept() is told; a token that was given, not drawn, surprises nobody.
template <class Stage>
class MirostatStage : public CloneableStage<Stage> {
 public:
  explicit MirostatStage(const SamplingParams& params)
      : target_(static_cast<double>(params.mirostat_tau)),
        rate_(static_cast<double>(params.mirostat_eta)),
        limits_{2 * target_} {}

  void accept(const SequenceView& sequence, double probability) override {
    if (sequence.generated().empty()) return;
    limits_.push_back(limit() - rate_ * (-std::log2(probability) - target_));
  }
  void rollback(const SequenceView& sequence) override {
    if (!sequence.generated().empty()) limits_.pop_back();
  }

 protected:
  double limit() const { return limits_.back(); }

 private:
  double target_;
  double rate_;
  std::vector<double> limits_;  // bits: one before each generated token, and the present one
};

class MirostatTwo final : public MirostatStage<MirostatTwo> {
 public:
  using MirostatStage::MirostatStage;

  // -log2(p) <= limit is logit >= top + ln(sum) - limit ln 2.
  void apply(Candidates& candidates, const SequenceView& /*sequence*/) override {
    const double log_sum = std::log(candidates.weight_sum());
    const double margin = log_sum - limit() * std::log(2.0);
    candidates.keep_from(static_cast<float>(static_cast<double>(candidates.highest()) + std::min(margin, 0.0)));
  }
};

class MirostatOne final : public MirostatStage<MirostatOne> {
 public:
  using MirostatStage::MirostatStage;

  // The exponent of Zipf's law is fitted to the most likely tokens; it says how many tokens have less surprise than the
  // limit.
  void apply(Candidates& candidates, const SequenceView& /*sequence*/) override {
    const auto possible = static_cast<double>(candidates.size());
    const auto best = candidates.best(kFitted);
    double products = 0;
    double squares = 0;
    for (std::size_t i = 0; i + 1 < best.size(); ++i) {
      const double rank_ratio = std::log(static_cast<double>(i + 2) / static_cast<double>(i + 1));
      const double ratio = static_cast<double>(best[i].logit) - static_cast<double>(best[i + 1].logit);
      if (!std::isfinite(ratio)) break;
      products += rank_ratio * ratio;
      squares += rank_ratio * rank_ratio;
    }
    if (squares <= 0) return;
    const double exponent = products / squares;
    const double excess = exponent - 1;
    const double count = std::pow(excess * std::pow(2.0, limit()) / (1 - std::pow(possible, -excess)), 1 / exponent);
    if (!std::isfinite(count)) return;
    candidates.keep_best(static_cast<std::size_t>(std::clamp(count, 1.0, possible)));
  }

 private:
  static constexpr std::size_t kFitted = 100;
};

}  // namespace

std::unique_ptr<SamplingStage> make_mirostat_stage(const StageContext& context) {
  if (context.params.mirostat == 1) return std::make_unique<MirostatOne>(context.params);
  if (context.params.mirostat == 2) return std::make_unique<MirostatTwo>(context.params);
  return nullptr;
}

}  // namespace mlxr
