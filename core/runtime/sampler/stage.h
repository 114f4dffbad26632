#pragma once
// One idea of how to change or cut the candidates. A new sampler is one file with a maker and one row in stages.def.
// A stage sees the sequence so far; what it keeps beside that can be taken back token by token and copied, so that
// speculation and forks are exact.

#include <cstdint>
#include <memory>
#include <span>

#include "core/runtime/sampler/candidates.h"
#include "core/runtime/sampler/random.h"
#include "core/runtime/sampler/sampling_params.h"
#include "core/runtime/sampler/sampling_vocabulary.h"

namespace mlxr {

// The sequence at the moment when its next token is chosen.
struct SequenceView {
  std::span<const TokenId> tokens;  // the prompt's, then the generated ones
  std::size_t num_prompt = 0;
  std::uint64_t seed = 0;

  std::span<const TokenId> generated() const { return tokens.subspan(num_prompt); }
  // In [0, 1); the same each time it is asked at this position.
  double random(RandomUse use) const { return random_unit(seed, tokens.size() - num_prompt, use); }
};

class SamplingStage {
 public:
  virtual ~SamplingStage() = default;
  // Changes logits or cuts; always leaves at least one candidate. Changes no state that the choice depends on.
  virtual void apply(Candidates& candidates, const SequenceView& sequence) = 0;
  // sequence.tokens.back() has just been added. `probability`: what it was drawn with, after all stages; 1 when it was
  // not drawn but given.
  virtual void accept(const SequenceView& /*sequence*/, double /*probability*/) {}
  // sequence.tokens.back() is about to be taken away; the reverse of the accept() that added it.
  virtual void rollback(const SequenceView& /*sequence*/) {}
  virtual std::unique_ptr<SamplingStage> clone() const = 0;
};

// Where a stage may stand.
enum class StageRole : std::uint8_t {
  kRule,      // before all others, whatever the order asked for: what must not come at all
  kPenalty,   // may make another token the most likely one, so that greedy decoding needs it too
  kCut,       // leaves out unlikely tokens; mirostat stands in for all of these
  kScale,     // changes how unlikely they are
  kMirostat,  // last
};

// What a maker may look at.
struct StageContext {
  const SamplingParams& params;
  SamplingVocabulary* vocabulary;  // nullptr: ids only
};
// Each gives nullptr when the parameters leave nothing to do.
using StageMaker = std::unique_ptr<SamplingStage> (*)(const StageContext& context);
#define MLXR_STAGE(name, ...) std::unique_ptr<SamplingStage> make_##name##_stage(const StageContext& context);
#include "core/runtime/sampler/stages.def"
#undef MLXR_STAGE

// Implements clone() by the copy constructor.
template <class Stage>
class CloneableStage : public SamplingStage {
 public:
  std::unique_ptr<SamplingStage> clone() const override {
    return std::make_unique<Stage>(static_cast<const Stage&>(*this));
  }
};

}  // namespace mlxr
