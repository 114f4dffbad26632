#include <cmath>

#include "core/runtime/sampler/stage.h"

namespace mlxr {
namespace {

// Nguyen et al., "Turning Up the Heat: Min-p Sampling", 2024.
class MinPStage final : public CloneableStage<MinPStage> {
 public:
  // p >= min_p * p_max is logit >= logit_max + ln(min_p).
  explicit MinPStage(float fraction) : margin_(std::log(fraction)) {}

  void apply(Candidates& candidates, const SequenceView& /*sequence*/) override {
    candidates.keep_from(candidates.highest() + margin_);
  }

 private:
  float margin_;
};

}  // namespace

std::unique_ptr<SamplingStage> make_min_p_stage(const StageContext& context) {
  if (context.params.min_p <= 0.0F) return nullptr;
  return std::make_unique<MinPStage>(context.params.min_p);
}

}  // namespace mlxr
