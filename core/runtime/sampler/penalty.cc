#include <deque>
#include <unordered_map>

#include "core/runtime/sampler/stage.h"

namespace mlxr {
namespace {

class PenaltyStage final : public SamplingStage {
 public:
  explicit PenaltyStage(const SamplingParams& params)
      : repetition_(params.repetition_penalty),
        frequency_(params.frequency_penalty),
        presence_(params.presence_penalty),
        last_n_(params.penalty_last_n) {}

  void apply(Candidates& candidates) override {
    for (const auto& [token, count] : counts_) {
      float* logit = candidates.logit_of(token);
      if (logit == nullptr) continue;
      *logit = *logit > 0 ? *logit / repetition_ : *logit * repetition_;
      candidates.add(token, -(static_cast<float>(count) * frequency_ + presence_));
    }
  }

  void accept(TokenId token) override {
    ++counts_[token];
    if (last_n_ < 0) return;
    window_.push_back(token);
    if (window_.size() <= static_cast<std::size_t>(last_n_)) return;
    const auto oldest = counts_.find(window_.front());
    window_.pop_front();
    if (--oldest->second == 0) counts_.erase(oldest);
  }

 private:
  float repetition_;
  float frequency_;
  float presence_;
  int last_n_;
  std::deque<TokenId> window_;
  std::unordered_map<TokenId, int> counts_;  // of the tokens in the window
};

}  // namespace

std::unique_ptr<SamplingStage> make_penalty_stage(const SamplingParams& params) {
  const bool off =
      params.repetition_penalty == 1.0F && params.frequency_penalty == 0.0F && params.presence_penalty == 0.0F;
  if (off || params.penalty_last_n == 0) return nullptr;
  return std::make_unique<PenaltyStage>(params);
}

}  // namespace mlxr
