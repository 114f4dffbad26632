#include <algorithm>
#include <cmath>

#include "core/runtime/sampler/exponential.h"
#include "core/runtime/sampler/stage.h"

namespace mlxr {
namespace {

class TypicalStage final : public CloneableStage<TypicalStage> {
 public:
  explicit TypicalStage(float mass) : mass_(mass) {}

  void apply(Candidates& candidates, const SequenceView& /*sequence*/) override {
    const float top = candidates.highest();
    const double sum = candidates.weight_sum();
    const double log_sum = std::log(sum);
    std::vector<Shifted> shifted;
    shifted.reserve(candidates.size());
    double entropy = 0;
    candidates.for_each([&](const Candidate& candidate) {
      const auto below = static_cast<double>(candidate.logit - top);
      const double probability = static_cast<double>(exp_negative(candidate.logit - top)) / sum;
      if (probability <= 0) return;
      entropy += probability * (log_sum - below);
      shifted.push_back({candidate, probability, log_sum - below});
    });
    if (shifted.empty()) return;
    for (Shifted& entry : shifted)
      entry.distance = std::fabs(entry.distance - entropy);
    // A heap gives them one by one, nearest first, and those that are never asked for are never sorted.
    const auto later = [](const Shifted& a, const Shifted& b) {
      return a.distance > b.distance || (!(a.distance < b.distance) && a.candidate.token > b.candidate.token);
    };
    std::make_heap(shifted.begin(), shifted.end(), later);
    std::vector<Candidate> kept;
    double mass = 0;
    while (!shifted.empty() && (kept.empty() || mass < static_cast<double>(mass_))) {
      std::pop_heap(shifted.begin(), shifted.end(), later);
      kept.push_back(shifted.back().candidate);
      mass += shifted.back().probability;
      shifted.pop_back();
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

std::unique_ptr<SamplingStage> make_typical_stage(const StageContext& context) {
  const SamplingParams& params = context.params;
  if (params.typical_p >= 1.0F) return nullptr;
  return std::make_unique<TypicalStage>(params.typical_p);
}

}  // namespace mlxr
