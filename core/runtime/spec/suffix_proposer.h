#pragma once
// Suffix decoding (Oliaro et al., "SuffixDecoding: Extreme Speculative Decoding for Emerging AI Applications", 2024):
// the most frequent continuation of the longest known end of the text, as far as it is likely. Known are the sequence
// itself and, if there is one, a store of what other requests were answered lately.

#include <memory>
#include <optional>

#include "core/runtime/spec/proposer.h"
#include "core/runtime/spec/suffix_automaton.h"

namespace mlxr {

// Recent answers, shared by sequences; bounded: of the two halves the older one is dropped when the newer is full. What
// one request says shows in how fast another's tokens come, so callers that must not learn of each other need stores of
// their own.
class SuffixStore {
 public:
  explicit SuffixStore(std::int64_t max_tokens = 1 << 16) : half_tokens_(max_tokens / 2 + 1) {}

  // A text from its beginning to its end.
  void add(std::span<const TokenId> tokens);
  // Newer first; valid until the next add().
  std::vector<const SuffixAutomaton*> automata() const;
  std::int64_t num_tokens() const;

 private:
  std::int64_t half_tokens_;
  std::unique_ptr<SuffixAutomaton> newer_, older_;
};

struct SuffixOptions {
  std::int64_t min_match = 2;         // tokens that must agree
  double min_probability = 0.1;       // of a whole proposal, by the counts
  double length_a_match = 2.0;        // tokens proposed at most for each that agrees
  std::int64_t max_tokens = 1 << 16;  // of the sequence that are kept, the latest ones
};

class SuffixProposer : public Proposer {
 public:
  // `store` may be nullptr; it must outlive the proposer.
  explicit SuffixProposer(const SuffixOptions& options = {}, const SuffixStore* store = nullptr);

  std::string_view name() const override { return "suffix"; }
  std::vector<TokenId> propose(std::span<const TokenId> context, std::int64_t max_tokens) override;
  // Costs as much as reading the text again.
  void truncate(std::int64_t length) override;

 private:
  struct Guess {
    std::vector<TokenId> tokens;
    double expected = 0.0;  // tokens that will be accepted, by the counts
  };
  void extend(std::span<const TokenId> context);
  void follow(const SuffixAutomaton& automaton, SuffixAutomaton::Match match, std::int64_t max_tokens,
              Guess& best) const;

  SuffixOptions options_;
  const SuffixStore* store_;
  SuffixAutomaton own_;
  std::int64_t indexed_ = 0;
};

}  // namespace mlxr
