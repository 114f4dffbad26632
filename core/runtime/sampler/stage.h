#pragma once
// One idea of how to change or cut the candidates. A Sampler runs its stages in the order of the rows in stages.def; a
// new sampler is one file with a maker and one row.

#include <memory>

#include "core/runtime/sampler/candidates.h"
#include "core/runtime/sampler/sampling_params.h"

namespace mlxr {

class SamplingStage {
 public:
  virtual ~SamplingStage() = default;
  // Changes logits or cuts; always leaves at least one candidate.
  virtual void apply(Candidates& candidates) = 0;
  // A token became part of the sequence.
  virtual void accept(TokenId /*token*/) {}
};

using StageMaker = std::unique_ptr<SamplingStage> (*)(const SamplingParams& params);

// Each gives nullptr when the parameters leave nothing to do.
#define MLXR_STAGE(name, ...) std::unique_ptr<SamplingStage> make_##name##_stage(const SamplingParams& params);
#include "core/runtime/sampler/stages.def"
#undef MLXR_STAGE

}  // namespace mlxr
