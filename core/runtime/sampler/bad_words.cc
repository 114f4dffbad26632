#include <algorithm>
#include <limits>
#include <string_view>
#include <vector>

#include "core/base/check.h"
#include "core/runtime/sampler/stage.h"

namespace mlxr {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

// Forbids every token that would complete a forbidden text or run of tokens in what was generated so far.
class BadWordsStage final : public CloneableStage<BadWordsStage> {
 public:
  explicit BadWordsStage(const StageContext& context)
      : vocabulary_(context.vocabulary), runs_(context.params.bad_token_sequences) {
    for (const std::string& word : context.params.bad_words) {
      texts_.push_back(context.vocabulary->forbidden_text(word));
      longest_ = std::max(longest_, word.size());
    }
  }

  void apply(Candidates& candidates, const SequenceView& sequence) override {
    const std::span<const TokenId> generated = sequence.generated();
    for (const std::vector<TokenId>& run : runs_) {
      const auto before = std::span(run).first(run.size() - 1);
      if (before.size() > generated.size()) continue;
      if (std::equal(before.begin(), before.end(), generated.last(before.size()).begin())) {
        candidates.add(run.back(), kNever);
      }
    }
    if (texts_.empty()) return;
    const std::string tail = vocabulary_->last_bytes(generated, longest_ - 1);
    for (const auto& text : texts_)
      forbid(*text, tail, candidates);
  }

 private:
  static void forbid(const ForbiddenText& text, std::string_view tail, Candidates& candidates) {
    for (const TokenId token : text.containing)
      candidates.add(token, kNever);
    for (std::size_t k = 1; k < text.completing.size(); ++k) {
      if (!tail.ends_with(std::string_view(text.text).substr(0, k))) continue;
      for (const TokenId token : text.completing[k])
        candidates.add(token, kNever);
    }
  }

  const SamplingVocabulary* vocabulary_;
  std::vector<std::shared_ptr<const ForbiddenText>> texts_;
  std::vector<std::vector<TokenId>> runs_;
  std::size_t longest_ = 0;
};

}  // namespace

std::unique_ptr<SamplingStage> make_bad_words_stage(const StageContext& context) {
  const SamplingParams& params = context.params;
  if (params.bad_words.empty() && params.bad_token_sequences.empty()) return nullptr;
  MLXR_CHECK(params.bad_words.empty() || context.vocabulary != nullptr, "bad_words need a vocabulary");
  return std::make_unique<BadWordsStage>(context);
}

}  // namespace mlxr
