#include "core/runtime/sampler/stage.h"

namespace mlxr {
namespace {

class TemperatureStage final : public SamplingStage {
 public:
  explicit TemperatureStage(float temperature) : temperature_(temperature) {}
  void apply(Candidates& candidates) override { candidates.divide(temperature_); }

 private:
  float temperature_;
};

}  // namespace

std::unique_ptr<SamplingStage> make_temperature_stage(const SamplingParams& params) {
  if (params.temperature == 1.0F || params.temperature <= 0.0F) return nullptr;
  return std::make_unique<TemperatureStage>(params.temperature);
}

}  // namespace mlxr
