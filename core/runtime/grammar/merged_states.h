#pragma once
// States that no short text tells apart, so that what was found out about one holds for all of them.
//
// A counted repetition, such as a string of at most a thousand characters, is as many copies of the same states. Far
// from the last copy the count does not matter to a token: what it may do is the same in each of them. (Moore's
// refinement, stopped after as many rounds as the text has bytes.)

#include <span>
#include <vector>

#include "core/runtime/grammar/rule_automata.h"

namespace mlxr::grammar {

struct MergedStates {
  // For each depth asked for: by state, the state that stands for it when texts of at most so many bytes are looked at.
  // Both allow the same bytes and calls, end after the same ones, and lead to states of which the same holds for the
  // bytes that are left. Empty: every state stands for itself.
  std::vector<std::vector<StateId>> maps;
  int rounds = 0;  // the longest text that told states apart, among those looked at
};

// `depths` grow.
MergedStates merge_states(std::span<const AutomatonState> states, std::span<const int> depths);

}  // namespace mlxr::grammar
