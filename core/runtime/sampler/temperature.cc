#include <algorithm>
#include <cmath>
#include <limits>

#include "core/runtime/sampler/exponential.h"
#include "core/runtime/sampler/stage.h"

namespace mlxr {
namespace {

class TemperatureStage final : public CloneableStage<TemperatureStage> {
 public:
  explicit TemperatureStage(float temperature) : temperature_(temperature) {}
  void apply(Candidates& candidates, const SequenceView& /*sequence*/) override { candidates.divide(temperature_); }

 private:
  float temperature_;
};

// As llama.cpp's (pull request 4972): sure choices are made surer, open ones more open.
class DynamicTemperatureStage final : public CloneableStage<DynamicTemperatureStage> {
 public:
  explicit DynamicTemperatureStage(const SamplingParams& params)
      : low_(std::max(params.temperature - params.dynatemp_range, 0.0F)),
        high_(params.temperature + params.dynatemp_range),
        exponent_(params.dynatemp_exponent) {}

  void apply(Candidates& candidates, const SequenceView& /*sequence*/) override {
    const float top = candidates.highest();
    const double sum = candidates.weight_sum();
    const double log_sum = std::log(sum);
    double entropy = 0;
    std::size_t possible = 0;
    candidates.for_each([&](const Candidate& candidate) {
      if (candidate.logit == -std::numeric_limits<float>::infinity()) return;
      ++possible;
      const double probability = static_cast<double>(exp_negative(candidate.logit - top)) / sum;
      entropy += probability * (log_sum - static_cast<double>(candidate.logit - top));
    });
    if (possible < 2) return;
    const double share = std::clamp(entropy / std::log(static_cast<double>(possible)), 0.0, 1.0);
    const auto width = static_cast<double>(high_ - low_);
    const auto temperature =
        static_cast<float>(static_cast<double>(low_) + width * std::pow(share, static_cast<double>(exponent_)));
    if (temperature > 0.0F) {
      candidates.divide(temperature);
    } else {
      candidates.keep_best(1);
    }
  }

 private:
  float low_, high_, exponent_;
};

}  // namespace

std::unique_ptr<SamplingStage> make_temperature_stage(const StageContext& context) {
  const SamplingParams& params = context.params;
  if (params.dynatemp_range > 0.0F) return std::make_unique<DynamicTemperatureStage>(params);
  if (params.temperature == 1.0F || params.temperature <= 0.0F) return nullptr;
  return std::make_unique<TemperatureStage>(params.temperature);
}

}  // namespace mlxr
