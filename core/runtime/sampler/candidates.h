#pragma once
// The tokens that may come next, with their logits. At first that is the whole vocabulary, an array by id; the first
// cut leaves a short list, most likely first. Order is by logit, equal logits by lower id. Selecting the best few of a
// large vocabulary reads it once and sorts almost nothing. A mask of few tokens gives a short list at once.
//
// Not thread-safe; one belongs to each Sampler and keeps its buffers.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/runtime/sampler/weight_sums.h"

namespace mlxr {

using TokenId = std::int32_t;  // as in tokenizer/vocabulary.h

// Bit i % 64 of word i / 64: whether token i may come. Tokens past its end may not. Empty: all may.
using TokenMask = std::span<const std::uint64_t>;

struct Candidate {
  TokenId token;
  float logit;
};

class Candidates {
 public:
  // Takes a copy of the logits [vocab]. NaN becomes minus infinity and plus infinity the largest float. Tokens that
  // `allowed` leaves out become minus infinity.
  void assign(std::span<const float> logits, TokenMask allowed = {});

  // Whether nothing has been cut yet.
  bool whole() const { return whole_; }
  std::size_t size() const { return whole_ ? logits_.size() : list_.size(); }

  // Adds to the logit of a token; ids that are no candidates are ignored.
  void add(TokenId token, float amount);
  // The logit of a token, to be changed before the next call; nullptr when it is no candidate.
  float* logit_of(TokenId token);

  // Minus infinity when there is no candidate, or none that can come.
  float highest();
  // The first `count` candidates in order, fewer when fewer can come (those of minus infinity cannot, unless a list has
  // come to hold some). The span holds until the next call.
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
  // Keeps those of at least this logit; at least one.
  void keep_from(float lowest);
  // Leaves out the first `count` in order, fewer than there are.
  void drop_best(std::size_t count);
  // Replaces all candidates by `list`, which may be in any order.
  void replace(std::vector<Candidate> list);
  // Sum of exp(logit - highest()) over all candidates.
  double weight_sum();

  // How many candidates come before this one; size() when it is none.
  std::size_t rank_of(TokenId token);
  // Of the logits that are not minus infinity: how many, and their standard deviation (of the whole, not a sample).
  struct Spread {
    std::size_t count = 0;
    double deviation = 0.0;
  };
  Spread spread();

  // Divides every logit.
  void divide(float divisor);

  struct Draw {
    TokenId token = 0;
    double probability = 0.0;
  };
  // The candidate in which the point `unit` (in [0, 1)) of the cumulative distribution falls. Requires highest() to be
  // a number.
  Draw at(double unit);

 private:
  static constexpr std::size_t kBlock = WeightSums::kBlock;

  void find_block_maxima();
  bool assign_list(std::span<const float> logits, TokenMask allowed);
  // Fills sorted_ with at least `count` of the best of the whole vocabulary.
  void select(std::size_t count);
  // Puts the list in order again when logits of it have changed.
  void settle();
  Draw draw_from_list(double unit);
  Draw draw_from_whole(double unit);

  WeightSums weight_sums_;
  bool whole_ = true;
  bool changed_ = false;             // list_ may be out of order
  std::vector<float> logits_;        // [vocab]
  std::vector<float> block_maxima_;  // of each kBlock logits; empty: not known
  std::vector<double> block_sums_;   // of weights, by weight_sum()
  std::vector<float> scratch_;
  std::vector<Candidate> sorted_;      // while whole(): the best ones so far asked for
  std::vector<Candidate> list_;        // once cut
  std::vector<std::uint32_t> places_;  // [vocab]: 1 + index in list_, 0 for none; empty: not known
};

// The token with the highest logit of the allowed ones, the lowest id among equals; NaN counts as minus infinity.
// kNoCandidate when there is none.
TokenId most_likely(std::span<const float> logits, TokenMask allowed = {});
inline constexpr TokenId kNoCandidate = -1;

}  // namespace mlxr
