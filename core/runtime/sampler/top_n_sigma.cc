#include "core/runtime/sampler/stage.h"

namespace mlxr {
namespace {

class TopNSigmaStage final : public CloneableStage<TopNSigmaStage> {
 public:
  explicit TopNSigmaStage(float num_deviations) : num_deviations_(num_deviations) {}

  void apply(Candidates& candidates, const SequenceView& /*sequence*/) override {
    const auto margin = static_cast<double>(num_deviations_) * candidates.spread().deviation;
    candidates.keep_from(static_cast<float>(static_cast<double>(candidates.highest()) - margin));
  }

 private:
  float num_deviations_;
};

}  // namespace

std::unique_ptr<SamplingStage> make_top_n_sigma_stage(const StageContext& context) {
  if (context.params.top_n_sigma <= 0.0F) return nullptr;
  return std::make_unique<TopNSigmaStage>(context.params.top_n_sigma);
}

}  // namespace mlxr
