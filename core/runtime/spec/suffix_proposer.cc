#include "core/runtime/spec/suffix_proposer.h"

#include <algorithm>

namespace mlxr {
namespace {

// Shorter ends are seen more often but say less; beyond a few of them nothing better comes.
constexpr int kMostEnds = 4;
// Ends longer than this are not looked for in the store.
constexpr std::size_t kLongestStored = 64;

}  // namespace

void SuffixStore::add(std::span<const TokenId> tokens) {
  if (newer_ == nullptr || newer_->num_tokens() >= half_tokens_) {
    older_ = std::move(newer_);
    newer_ = std::make_unique<SuffixAutomaton>();
  }
  newer_->start_text();
  const auto room = static_cast<std::size_t>(half_tokens_);
  for (const TokenId token : tokens.last(std::min(tokens.size(), room)))
    newer_->add(token);
}

std::vector<const SuffixAutomaton*> SuffixStore::automata() const {
  std::vector<const SuffixAutomaton*> made;
  for (const SuffixAutomaton* automaton : {newer_.get(), older_.get()}) {
    if (automaton != nullptr) made.push_back(automaton);
  }
  return made;
}

std::int64_t SuffixStore::num_tokens() const {
  std::int64_t sum = 0;
  for (const SuffixAutomaton* automaton : automata())
    sum += automaton->num_tokens();
  return sum;
}

SuffixProposer::SuffixProposer(const SuffixOptions& options, const SuffixStore* store)
    : options_(options), store_(store) {}

void SuffixProposer::truncate(std::int64_t length) {
  if (length >= indexed_) return;
  own_ = SuffixAutomaton();
  indexed_ = 0;
}

void SuffixProposer::extend(std::span<const TokenId> context) {
  const auto size = static_cast<std::int64_t>(context.size());
  const std::int64_t missing = size - indexed_;
  if (own_.num_tokens() + missing > options_.max_tokens) {
    own_ = SuffixAutomaton();
    indexed_ = std::max(size - options_.max_tokens / 2, std::int64_t{0});
  }
  for (; indexed_ < size; ++indexed_)
    own_.add(context[static_cast<std::size_t>(indexed_)]);
}

// A continuation that followed `count` times out of `total` is trusted less when few tokens agreed.
void SuffixProposer::follow(const SuffixAutomaton& automaton, SuffixAutomaton::Match match, std::int64_t max_tokens,
                            Guess& best) const {
  for (int ends = 0; ends < kMostEnds && match.length >= options_.min_match; ++ends) {
    const double doubt = 1.0 / static_cast<double>(match.length);
    const double most =
        std::min(static_cast<double>(max_tokens), 1 + options_.length_a_match * static_cast<double>(match.length));
    Guess guess;
    double probability = 1.0;
    SuffixAutomaton::State state = match.state;
    while (static_cast<double>(guess.tokens.size()) < most) {
      auto next = automaton.most_frequent(state);
      if (next.token == kNoToken) {  // the end of the text: go on from where it stood before
        const auto earlier = automaton.shorter({state, 0});
        if (earlier.length < options_.min_match) break;
        next = automaton.most_frequent(earlier.state);
        if (next.token == kNoToken) break;
      }
      probability *= static_cast<double>(next.count) / (static_cast<double>(next.total) + doubt);
      if (probability < options_.min_probability) break;
      guess.tokens.push_back(next.token);
      guess.expected += probability;
      state = next.state;
    }
    if (guess.expected > best.expected) best = std::move(guess);
    match = automaton.shorter(match);
  }
}

std::vector<TokenId> SuffixProposer::propose(std::span<const TokenId> context, std::int64_t max_tokens) {
  extend(context);
  if (context.empty() || max_tokens <= 0) return {};
  Guess best;
  follow(own_, own_.repeated_end(), max_tokens, best);
  if (store_ != nullptr) {
    const auto tail = context.last(std::min(context.size(), kLongestStored));
    for (const SuffixAutomaton* automaton : store_->automata())
      follow(*automaton, automaton->find_end(tail), max_tokens, best);
  }
  return std::move(best.tokens);
}

}  // namespace mlxr
