#pragma once
// From a rule's nondeterministic automaton to states without empty edges: the subset construction, then merging of
// equal states. Where subsets multiply, the states stay as they were.

#include <vector>

#include "core/runtime/grammar/rule_automata.h"
#include "core/runtime/grammar/rule_nfa.h"

namespace mlxr::grammar {

// State 0 is the start; it never accepts, since calls read something. States that cannot reach an accepting one are
// gone; the answer is empty when the start is one of them.
std::vector<AutomatonState> determinize(const RuleNfa& nfa);

}  // namespace mlxr::grammar
