#include "core/runtime/sampler/sampler.h"

#include <random>

#include "core/runtime/sampler/exponential.h"

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

void Sampler::run_stages(std::span<const float> logits) {
  candidates_.assign(logits);
  for (const auto& stage : stages_)
    stage->apply(candidates_);
  if (greedy_) candidates_.keep_best(1);
}

TokenId Sampler::sample(std::span<const float> logits) {
  if (greedy_ && stages_.empty()) return most_likely(logits);
  run_stages(logits);
  return candidates_.at(greedy_ ? 0.0 : random_.next_unit());
}

std::vector<TokenProbability> Sampler::distribution(std::span<const float> logits) {
  run_stages(logits);
  const double sum = candidates_.weight_sum();
  const float top = candidates_.highest();
  std::vector<TokenProbability> made;
  for (const Candidate& candidate : candidates_.best(candidates_.size())) {
    const auto weight = static_cast<double>(exp_negative(candidate.logit - top));
    made.push_back({candidate.token, sum > 0 ? weight / sum : 0.0});
  }
  return made;
}

void Sampler::accept(TokenId token) {
  for (const auto& stage : stages_)
    stage->accept(token);
}

}  // namespace mlxr
