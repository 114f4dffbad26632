#include "core/runtime/sampler/stage.h"

namespace mlxr {
namespace {

class LogitBiasStage final : public CloneableStage<LogitBiasStage> {
 public:
  explicit LogitBiasStage(const SamplingParams& params) : bias_(params.logit_bias) {}

  void apply(Candidates& candidates, const SequenceView& /*sequence*/) override {
    for (const auto& [token, amount] : bias_)
      candidates.add(token, amount);
  }

 private:
  std::map<std::int32_t, float> bias_;
};

}  // namespace

std::unique_ptr<SamplingStage> make_logit_bias_stage(const StageContext& context) {
  const SamplingParams& params = context.params;
  if (params.logit_bias.empty()) return nullptr;
  return std::make_unique<LogitBiasStage>(params);
}

}  // namespace mlxr
