#pragma once
// SuffixAutomaton: every run of tokens that ever stood in the texts given to it, with how often it did and what came
// after it. Online construction of Blumer et al., "The Smallest Automaton Recognizing the Subwords of a Text", 1985, of
// several texts one after the other: at most two states and three edges a token, about 150 bytes, amortised constant
// time.
//
// Counts follow at most kMaxLinks suffix links a token, so that a text with a short period, whose suffixes are all
// repetitions, cannot make them expensive; its shortest runs are then counted too low.

#include <cstdint>
#include <span>
#include <vector>

#include "core/runtime/tokenizer/vocabulary.h"

namespace mlxr {

class SuffixAutomaton {
 public:
  using State = std::int32_t;
  static constexpr State kRoot = 0;  // the empty run
  static constexpr State kNone = -1;

  SuffixAutomaton();

  void add(TokenId token);
  // What follows is another text.
  void start_text() { last_ = kRoot; }
  std::int64_t num_tokens() const { return num_tokens_; }

  // A place in the texts: a run and how long it is.
  struct Match {
    State state = kRoot;
    std::int64_t length = 0;
  };
  // The longest end of the present text that stands somewhere else too.
  Match repeated_end() const;
  // The longest end of `tokens` that stands in the texts.
  Match find_end(std::span<const TokenId> tokens) const;
  // The same with fewer tokens, at the next length where more could follow.
  Match shorter(const Match& match) const;

  struct Continuation {
    TokenId token = kNoToken;
    State state = kNone;     // of the run with the token
    std::int64_t count = 0;  // how often it stands there
    std::int64_t total = 0;  // with any token after the run
  };
  // The most frequent token after a run, the lowest id among equals; kNoToken when nothing ever followed.
  Continuation most_frequent(State state) const;

 private:
  static constexpr int kMaxLinks = 64;
  static constexpr int kMaxEdgesRead = 256;
  static constexpr std::int32_t kNoEdge = -1;

  struct Node {
    std::int32_t length = 0;  // of its longest run
    State link = kNone;       // the state of the longest run that is another state's
    std::int32_t count = 0;
    std::int32_t first_edge = kNoEdge;
  };
  struct Edge {
    State from;
    TokenId token;
    State to;
    std::int32_t next;  // of the same state
  };

  State make(std::int32_t length);
  State split(State from, TokenId token, State old);
  std::int32_t find_edge(State from, TokenId token) const;
  void add_edge(State from, TokenId token, State to);
  void grow_table();

  std::vector<Node> nodes_;
  std::vector<Edge> edges_;
  std::vector<std::int32_t> table_;  // edges by hash of (from, token), a power of two, at most half full
  State last_ = kRoot;
  std::int64_t num_tokens_ = 0;
};

}  // namespace mlxr
