#pragma once
// The compiled grammar: one automaton a rule over bytes and calls, all states in one table. Immutable.
//
// What compiling establishes, and stack_machine.h relies on:
// - a call reads at least one byte; where a rule also matches nothing there is a way around the call;
// - no rule begins by calling itself, directly or through others: `rank` grows along calls that a rule begins with.
//   Left recursion is turned into loops by the left-corner transform (Rosenkrantz and Lewis, 1970), done on automata;
// - every state can reach the end of its rule, so that whatever was read can be completed;
// - small and narrow rules and those used once are part of their callers; large ones stay apart, so that what is known
//   of them is shared by all places that use them;
// - automata are deterministic (but for calls, which read what they read) where that takes few states, and without
//   empty edges otherwise.

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/status.h"
#include "core/runtime/grammar/rule_nfa.h"
#include "core/runtime/grammar/rules.h"

namespace mlxr::grammar {

// Bytes of short texts: tokens are sliced by whether they fit. Most are in the first slice.
inline constexpr int kShortTexts[] = {16, 32, 128};

struct AutomatonState {
  std::vector<ByteEdge> bytes;  // by `low`
  std::vector<CallEdge> calls;
  bool accepting = false;

  bool leaves() const { return !bytes.empty() || !calls.empty(); }
};

struct RuleAutomaton {
  StateId start = -1;
  std::int32_t rank = 0;
};

class RuleAutomata {
 public:
  // kInvalidArgument when the root matches no text at all, kResourceExhausted past a limit of `rules`.
  static Result<RuleAutomata> compile(const Rules& rules);

  const AutomatonState& state(StateId id) const { return states_[static_cast<std::size_t>(id)]; }
  std::size_t num_states() const { return states_.size(); }
  const RuleAutomaton& rule(RuleId id) const { return rules_[static_cast<std::size_t>(id)]; }
  std::size_t num_rules() const { return rules_.size(); }
  StateId root_start() const { return rules_.back().start; }
  // By state, the state that stands for it when texts of at most kShortTexts[i] bytes are looked at (merged_states.h);
  // empty when each stands for itself, and where too little would be merged.
  std::span<const StateId> merged(std::size_t i) const { return merged_[i]; }
  // Whether the empty text is in the grammar.
  bool matches_empty() const { return matches_empty_; }

 private:
  friend class AutomataCompiler;
  std::vector<AutomatonState> states_;
  std::vector<RuleAutomaton> rules_;  // by rule; the last one is the root's caller. start -1: not in use
  std::vector<std::vector<StateId>> merged_;
  bool matches_empty_ = false;
};

}  // namespace mlxr::grammar
