#include <unordered_map>

#include "core/runtime/sampler/stage.h"

namespace mlxr {
namespace {

class PenaltyStage final : public CloneableStage<PenaltyStage> {
 public:
  explicit PenaltyStage(const SamplingParams& params)
      : repetition_(params.repetition_penalty),
        frequency_(params.frequency_penalty),
        presence_(params.presence_penalty),
        last_n_(params.penalty_last_n) {}

  void apply(Candidates& candidates, const SequenceView& /*sequence*/) override {
    for (const auto& [token, count] : counts_) {
      float* logit = candidates.logit_of(token);
      if (logit == nullptr) continue;
      *logit = *logit > 0 ? *logit / repetition_ : *logit * repetition_;
      candidates.add(token, -(static_cast<float>(count) * frequency_ + presence_));
    }
  }

  void accept(const SequenceView& sequence, double /*probability*/) override {
    ++counts_[sequence.tokens.back()];
    if (const TokenId* old = beyond_window(sequence)) remove(*old);
  }

  void rollback(const SequenceView& sequence) override {
    if (const TokenId* old = beyond_window(sequence)) ++counts_[*old];
    remove(sequence.tokens.back());
  }

 private:
  // The token that left the window when the last one came; nullptr for none.
  const TokenId* beyond_window(const SequenceView& sequence) const {
    const auto window = static_cast<std::size_t>(last_n_);
    if (last_n_ < 0 || sequence.tokens.size() <= window) return nullptr;
    return &sequence.tokens[sequence.tokens.size() - window - 1];
  }

  void remove(TokenId token) {
    const auto counted = counts_.find(token);
    if (--counted->second == 0) counts_.erase(counted);
  }

  float repetition_;
  float frequency_;
  float presence_;
  int last_n_;
  std::unordered_map<TokenId, int> counts_;  // of the tokens in the window
};

}  // namespace

std::unique_ptr<SamplingStage> make_penalty_stage(const StageContext& context) {
  const SamplingParams& params = context.params;
  const bool off =
      params.repetition_penalty == 1.0F && params.frequency_penalty == 0.0F && params.presence_penalty == 0.0F;
  if (off || params.penalty_last_n == 0) return nullptr;
  return std::make_unique<PenaltyStage>(params);
}

}  // namespace mlxr
