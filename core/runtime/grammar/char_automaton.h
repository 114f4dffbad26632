#pragma once
// Deterministic automata over code points: what a JSON string has to match before it is written with escapes. They can
// be intersected and complemented, which grammars cannot.
//
// Operations that may grow beyond max_states answer nullopt then.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/runtime/grammar/char_set.h"
#include "core/runtime/grammar/rules.h"

namespace mlxr::grammar {

class CharAutomaton {
 public:
  struct Edge {
    char32_t low;
    char32_t high;
    std::int32_t target;
  };
  struct State {
    std::vector<Edge> edges;  // by `low`, apart from each other
    bool accepting = false;
  };

  static constexpr std::size_t kMaxStates = 40'000;

  CharAutomaton() : states_(1) {}  // accepts nothing
  // All texts of min to max characters; max kUnbounded: any number.
  static std::optional<CharAutomaton> of_length(std::int64_t min, std::int64_t max);
  static CharAutomaton any_text();
  static CharAutomaton of_texts(const std::vector<std::string>& texts);
  // Of an expression without recursion. Anchors in it (anchor_begin, anchor_end) hold where they stand; with `search`
  // the expression may match anywhere in the text.
  static std::optional<CharAutomaton> of_expression(const Rules& rules, ExpressionId expression, bool search);

  std::optional<CharAutomaton> common(const CharAutomaton& other) const;
  CharAutomaton complement() const;

  bool matches(std::string_view text) const;
  bool empty() const;                                           // accepts nothing
  const std::vector<State>& states() const { return states_; }  // the first one is the start

 private:
  friend class CharSubsets;
  void trim();

  std::vector<State> states_;
};

// Stand for the places before and behind a text within expressions of regex_syntax.h.
inline constexpr std::string_view kAnchorBegin = "\xFE";
inline constexpr std::string_view kAnchorEnd = "\xFD";

}  // namespace mlxr::grammar
