#include "core/runtime/sampler/stage.h"

namespace mlxr {
namespace {

class TopKStage final : public CloneableStage<TopKStage> {
 public:
  explicit TopKStage(int count) : count_(static_cast<std::size_t>(count)) {}
  void apply(Candidates& candidates, const SequenceView& /*sequence*/) override { candidates.keep_best(count_); }

 private:
  std::size_t count_;
};

}  // namespace

std::unique_ptr<SamplingStage> make_top_k_stage(const StageContext& context) {
  const SamplingParams& params = context.params;
  if (params.top_k <= 0) return nullptr;
  return std::make_unique<TopKStage>(params.top_k);
}

}  // namespace mlxr
