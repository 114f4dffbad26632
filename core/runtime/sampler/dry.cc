#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <vector>

#include "core/runtime/sampler/stage.h"

namespace mlxr {
namespace {

using Tails = std::unordered_map<TokenId, std::vector<std::vector<TokenId>>>;

// Far past any logit, and still a number.
constexpr double kMostPenalty = 1e9;

// DRY, "don't repeat yourself", from oobabooga/text-generation-webui pull request 5677, with the breakers of texts that
// stretch over tokens from llama.cpp: a token that would lengthen a repetition of the end of the text is penalised,
// more for a longer one. Time is linear in the window.
class DryStage final : public CloneableStage<DryStage> {
 public:
  explicit DryStage(const StageContext& context)
      : multiplier_(static_cast<double>(context.params.dry_multiplier)),
        base_(static_cast<double>(context.params.dry_base)),
        allowed_(static_cast<std::size_t>(context.params.dry_allowed_length)),
        last_n_(context.params.dry_penalty_last_n) {
    if (context.vocabulary == nullptr) return;
    auto tails = std::make_shared<Tails>();
    for (const std::string& text : context.params.dry_sequence_breakers) {
      for (const BreakerTail& breaker : *context.vocabulary->breaker(text))
        (*tails)[breaker.head].push_back(breaker.tail);
    }
    breakers_ = std::move(tails);
  }

  void apply(Candidates& candidates, const SequenceView& sequence) override {
    std::span<const TokenId> window = sequence.tokens;
    if (last_n_ >= 0) window = window.last(std::min(window.size(), static_cast<std::size_t>(last_n_)));
    if (window.size() <= allowed_) return;
    const std::size_t limit = unbroken(window);
    if (limit < allowed_) return;
    measure_repetitions(window);
    longest_.clear();
    for (std::size_t k = 1; k < window.size(); ++k) {
      const std::size_t length = std::min(lengths_[k], limit);
      if (length < allowed_) continue;
      std::size_t& longest = longest_[window[window.size() - k]];
      longest = std::max(longest, length);
    }
    for (const auto& [token, length] : longest_)
      candidates.add(token, -penalty(length));
  }

 private:
  // How many tokens at the end of the window no breaker interrupts.
  std::size_t unbroken(std::span<const TokenId> window) const {
    if (breakers_ == nullptr) return window.size();
    for (std::size_t back = 0; back < window.size(); ++back) {
      const auto found = breakers_->find(window[window.size() - 1 - back]);
      if (found == breakers_->end()) continue;
      const auto after = window.last(back);
      std::size_t longest = 0;
      bool matched = false;
      for (const std::vector<TokenId>& tail : found->second) {
        if (tail.size() > after.size() || !std::equal(tail.begin(), tail.end(), after.begin())) continue;
        matched = true;
        longest = std::max(longest, tail.size());
      }
      if (matched) return back - longest;
    }
    return window.size();
  }

  // lengths_[k]: how many tokens before the k-th from the end equal those at the end. The Z-algorithm (Gusfield,
  // "Algorithms on Strings, Trees, and Sequences", 1997) on the reversed window.
  void measure_repetitions(std::span<const TokenId> window) {
    const std::size_t size = window.size();
    const auto from_end = [&](std::size_t i) { return window[size - 1 - i]; };
    lengths_.assign(size, 0);
    std::size_t left = 0;
    std::size_t right = 0;  // the match that reaches furthest is [left, right)
    for (std::size_t k = 1; k < size; ++k) {
      std::size_t length = k < right ? std::min(lengths_[k - left], right - k) : 0;
      while (k + length < size && from_end(length) == from_end(k + length))
        ++length;
      lengths_[k] = length;
      if (k + length > right) {
        left = k;
        right = k + length;
      }
    }
  }

  float penalty(std::size_t length) const {
    const auto exponent = static_cast<double>(length - allowed_);
    return static_cast<float>(std::min(multiplier_ * std::pow(base_, exponent), kMostPenalty));
  }

  double multiplier_;
  double base_;
  std::size_t allowed_;
  int last_n_;
  std::shared_ptr<const Tails> breakers_;
  std::vector<std::size_t> lengths_;
  std::unordered_map<TokenId, std::size_t> longest_;
};

}  // namespace

std::unique_ptr<SamplingStage> make_dry_stage(const StageContext& context) {
  const SamplingParams& params = context.params;
  if (params.dry_multiplier <= 0.0F || params.dry_base < 1.0F || params.dry_penalty_last_n == 0) return nullptr;
  return std::make_unique<DryStage>(context);
}

}  // namespace mlxr
