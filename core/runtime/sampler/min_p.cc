#include <cmath>

#include "core/runtime/sampler/stage.h"

namespace mlxr {
namespace {

// Nguyen et al., "Turning Up the Heat: Min-p Sampling", 2024.
class MinPStage final : public SamplingStage {
 public:
  // p >= min_p * p_max is logit >= logit_max + ln(min_p).
  explicit MinPStage(float fraction) : margin_(std::log(fraction)) {}

  void apply(Candidates& candidates) override {
    const float lowest = candidates.highest() + margin_;
    std::size_t read = 0;
    for (std::size_t count = kFirstLook; read < candidates.size(); count *= 4) {
      const auto best = candidates.best(count);
      for (; read < best.size(); ++read) {
        if (best[read].logit < lowest) return candidates.keep_best(read);
      }
    }
  }

 private:
  static constexpr std::size_t kFirstLook = 128;
  float margin_;
};

}  // namespace

std::unique_ptr<SamplingStage> make_min_p_stage(const SamplingParams& params) {
  if (params.min_p <= 0.0F) return nullptr;
  return std::make_unique<MinPStage>(params.min_p);
}

}  // namespace mlxr
