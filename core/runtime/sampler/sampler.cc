#include "core/runtime/sampler/sampler.h"

#include <array>
#include <random>

namespace mlxr {
namespace {

struct StageRow {
  const char* name;
  StageMaker make;
  bool changes_order;
};

constexpr StageRow kStages[] = {
#define MLXR_STAGE(name, changes_order) {#name, make_##name##_stage, changes_order},
#include "core/runtime/sampler/stages.def"
#undef MLXR_STAGE
};

std::uint64_t fresh_seed() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32) | device();
}

}  // namespace

Sampler::Sampler(const SamplingParams& params)
    : greedy_(params.temperature <= 0.0F), seed_(params.seed ? *params.seed : fresh_seed()), random_(seed_) {
  for (const StageRow& row : kStages) {
    if (greedy_ && !row.changes_order) continue;
    if (auto stage = row.make(params)) stages_.push_back(std::move(stage));
  }
}

TokenId Sampler::sample(std::span<const float> logits) {
  if (greedy_ && stages_.empty()) return most_likely(logits);
  candidates_.assign(logits);
  for (const auto& stage : stages_)
    stage->apply(candidates_);
  if (greedy_) {
    const auto best = candidates_.best(1);
    return best.empty() ? 0 : best.front().token;
  }
  return candidates_.at(random_.next_unit());
}

void Sampler::accept(TokenId token) {
  for (const auto& stage : stages_)
    stage->accept(token);
}

}  // namespace mlxr
