#pragma once
// The tokens that may come next, with their logits. At first that is the whole vocabulary, an array by id; the first
// cut leaves a short list, most likely first. Order is by logit, equal logits by lower id. Selecting the best few of a
// large vocabulary reads it once and sorts almost nothing.
//
// Not thread-safe; one belongs to each Sampler and keeps its buffers.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace mlxr {

using TokenId = std::int32_t;  // as in tokenizer/vocabulary.h

struct Candidate {
  TokenId token;
  float logit;
};

class Candidates {
 public:
  // Takes a copy of the logits [vocab]. NaN becomes minus infinity and plus infinity the largest float.
  void assign(std::span<const float> logits);

  // Whether nothing has been cut yet. add() and for_token() need it.
  bool whole() const { return whole_; }
  std::size_t size() const { return whole_ ? logits_.size() : list_.size(); }

  // Adds to the logit of a token; ids outside of the vocabulary are ignored. Requires whole(), before best().
  void add(TokenId token, float amount);
  // Requires whole(); nullptr outside of the vocabulary.
  float* logit_of(TokenId token);

  float highest();
  // The first `count` (at most size()) candidates in order. The span holds until the next call.
  std::span<const Candidate> best(std::size_t count);
  // Calls visit(candidate) for each, in no order that means anything.
  template <class Visit>
  void for_each(Visit visit) const {
    if (!whole_) {
      for (const Candidate& candidate : list_)
        visit(candidate);
      return;
    }
    for (std::size_t i = 0; i < logits_.size(); ++i)
      visit(Candidate{static_cast<TokenId>(i), logits_[i]});
  }
  // Keeps the first `count` in order; at least one.
  void keep_best(std::size_t count);
  // Replaces all candidates by `list`, which may be in any order.
  void replace(std::vector<Candidate> list);
  // Sum of exp(logit - highest()) over all candidates.
  double weight_sum();

  // Divides every logit.
  void divide(float divisor);
  // The candidate in which the point `unit` (in [0, 1)) of the cumulative distribution falls.
  TokenId at(double unit);

 private:
  static constexpr std::size_t kBlock = 64;

  void find_block_maxima();
  // Sum of exp(logit - top) over the block that starts at `start`.
  double block_weight(std::size_t start, float top) const;
  // Fills sorted_ with at least `count` of the best of the whole vocabulary.
  void select(std::size_t count);

  bool whole_ = true;
  std::vector<float> logits_;        // [vocab]
  std::vector<float> block_maxima_;  // of each kBlock logits; empty: not known
  std::vector<double> block_sums_;   // of weights, by weight_sum()
  std::vector<float> scratch_;
  std::vector<Candidate> sorted_;  // while whole(): the best ones so far asked for
  std::vector<Candidate> list_;    // once cut
};

// The token with the highest logit, the lowest id among equals; NaN counts as minus infinity. 0 when there is none.
TokenId most_likely(std::span<const float> logits);

}  // namespace mlxr
