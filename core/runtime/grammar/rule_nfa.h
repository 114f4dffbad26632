#pragma once
// One rule as a nondeterministic automaton over bytes and calls of rules, by Thompson's construction. What
// rule_automata.cc transforms on the way from expressions to its tables.

#include <cstdint>
#include <vector>

#include "core/base/status.h"
#include "core/runtime/grammar/rules.h"

namespace mlxr::grammar {

using StateId = std::int32_t;

struct ByteEdge {
  std::uint8_t low;
  std::uint8_t high;
  StateId target;

  friend bool operator==(const ByteEdge&, const ByteEdge&) = default;
};

// Reads what a rule matches, then goes on at `target`.
struct CallEdge {
  RuleId rule;
  StateId target;

  friend bool operator==(const CallEdge&, const CallEdge&) = default;
};

struct NfaState {
  std::vector<ByteEdge> bytes;
  std::vector<CallEdge> calls;
  std::vector<StateId> empties;  // reached without reading
};

struct RuleNfa {
  static constexpr StateId kStart = 0;  // nothing leads to it
  static constexpr StateId kFinal = 1;  // nothing leaves it

  std::vector<NfaState> states;

  StateId add_state() {
    states.emplace_back();
    return static_cast<StateId>(states.size() - 1);
  }
  NfaState& at(StateId id) { return states[static_cast<std::size_t>(id)]; }
  const NfaState& at(StateId id) const { return states[static_cast<std::size_t>(id)]; }
  // Appends the states of `other`; the answer is what its ids have grown by.
  StateId append(const RuleNfa& other);
};

// The states reached without reading. Keeps a mark a state, so that asking costs what is found.
class EmptyClosure {
 public:
  explicit EmptyClosure(const RuleNfa& nfa) : nfa_(nfa), marks_(nfa.states.size()) {}
  // `from` included, in order.
  std::vector<StateId> of(StateId from);

 private:
  const RuleNfa& nfa_;
  std::vector<std::uint32_t> marks_;
  std::uint32_t round_ = 0;
};

// Adds to `num_states` and fails when that passes `max_states`.
Result<RuleNfa> build_rule_nfa(const Rules& rules, ExpressionId body, std::size_t& num_states, std::size_t max_states);

}  // namespace mlxr::grammar
