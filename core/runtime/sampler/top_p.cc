#include "core/runtime/sampler/exponential.h"
#include "core/runtime/sampler/stage.h"

namespace mlxr {
namespace {

// Nucleus sampling (Holtzman et al., "The Curious Case of Neural Text Degeneration", 2020).
class TopPStage final : public CloneableStage<TopPStage> {
 public:
  explicit TopPStage(float mass) : mass_(mass) {}

  void apply(Candidates& candidates, const SequenceView& /*sequence*/) override {
    const double wanted = static_cast<double>(mass_) * candidates.weight_sum();
    const float top = candidates.highest();
    double sum = 0;
    std::size_t read = 0;
    // The nucleus is nearly always short: look at a few and ask for more only when they do not suffice.
    for (std::size_t count = kFirstLook; read < candidates.size(); count *= 4) {
      const auto best = candidates.best(count);
      for (; read < best.size(); ++read) {
        sum += static_cast<double>(exp_negative(best[read].logit - top));
        if (sum >= wanted) return candidates.keep_best(read + 1);
      }
      if (best.size() < count) return;
    }
  }

 private:
  static constexpr std::size_t kFirstLook = 128;
  float mass_;
};

}  // namespace

std::unique_ptr<SamplingStage> make_top_p_stage(const StageContext& context) {
  const SamplingParams& params = context.params;
  if (params.top_p >= 1.0F) return nullptr;
  return std::make_unique<TopPStage>(params.top_p);
}

}  // namespace mlxr
