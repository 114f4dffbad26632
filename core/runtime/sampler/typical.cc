#include <algorithm>
#include <cmath>

#include "core/runtime/sampler/exponential.h"
#include "core/runtime/sampler/stage.h"

namespace mlxr {
namespace {

class TypicalStage final : public SamplingStage {
 public:
  explicit TypicalStage(float mass) : mass_(mass) {}

  void apply(Candidates& candidates) override {
    const float top = candidates.highest();
    const double log_sum = std::log(candidates.weight_sum());
    // The order of equals follows that of the candidates: likelier first.
    const auto all = candidates.best(candidates.size());
    std::vector<Shifted> shifted;
    shifted.reserve(all.size());
    double entropy = 0;
    for (const Candidate& candidate : all) {
      const double weight = static_cast<double>(exp_negative(candidate.logit - top));
      const double information = log_sum - static_cast<double>(candidate.logit - top);
      const double probability = weight * std::exp(-log_sum);
      if (weight > 0) entropy += probability * information;
      shifted.push_back({candidate, probability, information});
    }
    for (Shifted& entry : shifted)
      entry.distance = std::fabs(entry.distance - entropy);
    std::stable_sort(shifted.begin(), shifted.end(),
                     [](const Shifted& a, const Shifted& b) { return a.distance < b.distance; });
    std::vector<Candidate> kept;
    double sum = 0;
    for (const Shifted& entry : shifted) {
      kept.push_back(entry.candidate);
      sum += entry.probability;
      if (sum >= static_cast<double>(mass_)) break;
    }
    candidates.replace(std::move(kept));
  }

 private:
  struct Shifted {
    Candidate candidate;
    double probability;
    double distance;  // of its information from the entropy
  };

  float mass_;
};

}  // namespace

std::unique_ptr<SamplingStage> make_typical_stage(const SamplingParams& params) {
  if (params.typical_p >= 1.0F) return nullptr;
  return std::make_unique<TypicalStage>(params.typical_p);
}

}  // namespace mlxr
