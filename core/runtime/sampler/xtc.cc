#include <algorithm>
#include <vector>

#include "core/runtime/sampler/exponential.h"
#include "core/runtime/sampler/stage.h"

namespace mlxr {
namespace {

// "Exclude top choices", from oobabooga/text-generation-webui pull request 6335: where several tokens are likely
// enough, only the least likely of them stays, with all that are less likely. An answer must still be able to end and
// to break lines, so nothing is left out when that would take one of those tokens away.
class XtcStage final : public CloneableStage<XtcStage> {
 public:
  XtcStage(const SamplingParams& params, const SamplingVocabulary* vocabulary)
      : probability_(static_cast<double>(params.xtc_probability)),
        threshold_(static_cast<double>(params.xtc_threshold)) {
    if (vocabulary == nullptr) return;
    for (const auto tokens : {vocabulary->end_tokens(), vocabulary->newline_tokens()})
      spared_.insert(spared_.end(), tokens.begin(), tokens.end());
  }

  void apply(Candidates& candidates, const SequenceView& sequence) override {
    if (sequence.random(RandomUse::kXtc) >= probability_) return;
    const double sum = candidates.weight_sum();
    const float top = candidates.highest();
    // At most 1 / threshold tokens can reach the threshold.
    const double most = std::min(1.0 / std::max(threshold_, 1e-9) + 2, static_cast<double>(candidates.size()));
    const auto best = candidates.best(static_cast<std::size_t>(most));
    const auto is_likely = [&](const Candidate& candidate) {
      const auto weight = static_cast<double>(exp_negative(candidate.logit - top));
      return weight > 0 && weight >= threshold_ * sum;
    };
    std::size_t likely = 0;
    while (likely < best.size() && is_likely(best[likely]))
      ++likely;
    if (likely < 2) return;
    const auto dropped = best.first(likely - 1);
    const bool needed = std::any_of(dropped.begin(), dropped.end(), [this](const Candidate& candidate) {
      return std::find(spared_.begin(), spared_.end(), candidate.token) != spared_.end();
    });
    if (!needed) candidates.drop_best(dropped.size());
  }

 private:
  double probability_;
  double threshold_;
  std::vector<TokenId> spared_;
};

}  // namespace

// Two tokens cannot both have more than half of the probability.
std::unique_ptr<SamplingStage> make_xtc_stage(const StageContext& context) {
  const SamplingParams& params = context.params;
  if (params.xtc_probability <= 0.0F || params.xtc_threshold > 0.5F) return nullptr;
  return std::make_unique<XtcStage>(params, context.vocabulary);
}

}  // namespace mlxr
