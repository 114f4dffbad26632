#include <limits>
#include <vector>

#include "core/base/check.h"
#include "core/runtime/sampler/stage.h"

namespace mlxr {
namespace {

// Keeps an answer from ending: for ever, or while it is short.
class EndOfTextStage final : public CloneableStage<EndOfTextStage> {
 public:
  explicit EndOfTextStage(const StageContext& context)
      : ends_(context.vocabulary->end_tokens().begin(), context.vocabulary->end_tokens().end()),
        never_(context.params.ignore_eos),
        min_tokens_(static_cast<std::size_t>(context.params.min_tokens)) {}

  void apply(Candidates& candidates, const SequenceView& sequence) override {
    if (!never_ && sequence.generated().size() >= min_tokens_) return;
    for (const TokenId token : ends_)
      candidates.add(token, -std::numeric_limits<float>::infinity());
  }

 private:
  std::vector<TokenId> ends_;
  bool never_;
  std::size_t min_tokens_;
};

}  // namespace

std::unique_ptr<SamplingStage> make_end_of_text_stage(const StageContext& context) {
  if (!context.params.ignore_eos && context.params.min_tokens == 0) return nullptr;
  MLXR_CHECK(context.vocabulary != nullptr, "the ends of a text are not known without a vocabulary");
  return std::make_unique<EndOfTextStage>(context);
}

}  // namespace mlxr
