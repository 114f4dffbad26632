#include "core/runtime/grammar/rule_nfa.h"

#include <algorithm>

#include <fmt/core.h>

namespace mlxr::grammar {
namespace {

class NfaBuilder {
 public:
  NfaBuilder(const Rules& rules, std::size_t& num_states, std::size_t max_states)
      : rules_(rules), num_states_(num_states), max_states_(max_states) {
    new_state();
    new_state();
  }

  // Adds paths that read `id` between the two states. Never adds an edge into `from` or out of `to`, unless they are
  // the same.
  void build(ExpressionId id, StateId from, StateId to) {
    if (full()) return;
    const Expression& e = rules_.at(id);
    switch (e.kind) {
      case ExpressionKind::kNever:
        return;
      case ExpressionKind::kLiteral:
        return literal(rules_.text_of(e), from, to);
      case ExpressionKind::kChars:
        return chars(rules_.chars_of(e), from, to);
      case ExpressionKind::kByteRange:
        nfa_.at(from).bytes.push_back({static_cast<std::uint8_t>(e.low), static_cast<std::uint8_t>(e.high), to});
        return;
      case ExpressionKind::kSequence:
        return sequence(e, from, to);
      case ExpressionKind::kChoice:
        for (const ExpressionId part : e.parts)
          build(part, from, to);
        return;
      case ExpressionKind::kRepeat:
        return repeat(e, from, to);
      case ExpressionKind::kRule:
        nfa_.at(from).calls.push_back({e.low, to});
        return;
      case ExpressionKind::kGraph:
        return graph(rules_.graph_of(e), from, to);
    }
  }

  bool full() const { return num_states_ > max_states_; }
  RuleNfa take() { return std::move(nfa_); }

 private:
  StateId new_state() {
    ++num_states_;
    return nfa_.add_state();
  }

  void literal(const std::string& text, StateId from, StateId to) {
    if (text.empty()) {
      nfa_.at(from).empties.push_back(to);
      return;
    }
    for (std::size_t i = 0; i < text.size() && !full(); ++i) {
      const StateId next = i + 1 == text.size() ? to : new_state();
      const auto byte = static_cast<std::uint8_t>(text[i]);
      nfa_.at(from).bytes.push_back({byte, byte, next});
      from = next;
    }
  }

  void chars(const CharSet& set, StateId from, StateId to) {
    for (const ByteSequence& sequence : utf8_sequences(set)) {
      if (full()) return;
      StateId at = from;
      for (int i = 0; i < sequence.length; ++i) {
        const StateId next = i + 1 == sequence.length ? to : new_state();
        nfa_.at(at).bytes.push_back({sequence.bytes[i].low, sequence.bytes[i].high, next});
        at = next;
      }
    }
  }

  void sequence(const Expression& e, StateId from, StateId to) {
    for (std::size_t i = 0; i < e.parts.size(); ++i) {
      const StateId next = i + 1 == e.parts.size() ? to : new_state();
      build(e.parts[i], from, next);
      from = next;
    }
  }

  void repeat(const Expression& e, StateId from, StateId to) {
    const ExpressionId part = e.parts[0];
    StateId at = new_state();
    nfa_.at(from).empties.push_back(at);
    for (int i = 0; i < e.low && !full(); ++i) {
      const StateId next = new_state();
      build(part, at, next);
      at = next;
    }
    if (e.high == kUnbounded) {
      const StateId loop = new_state();
      nfa_.at(at).empties.push_back(loop);
      build(part, loop, loop);
      at = loop;
    } else {
      for (int i = e.low; i < e.high && !full(); ++i) {
        nfa_.at(at).empties.push_back(to);
        const StateId next = new_state();
        build(part, at, next);
        at = next;
      }
    }
    nfa_.at(at).empties.push_back(to);
  }

  void graph(const Graph& graph, StateId from, StateId to) {
    std::vector<StateId> ids;
    for (std::int32_t i = 0; i < graph.num_states; ++i)
      ids.push_back(new_state());
    nfa_.at(from).empties.push_back(ids[0]);
    for (const GraphEdge& edge : graph.edges)
      build(edge.label, ids[static_cast<std::size_t>(edge.from)], ids[static_cast<std::size_t>(edge.to)]);
    for (const std::int32_t state : graph.accepting)
      nfa_.at(ids[static_cast<std::size_t>(state)]).empties.push_back(to);
  }

  const Rules& rules_;
  std::size_t& num_states_;
  std::size_t max_states_;
  RuleNfa nfa_;
};

}  // namespace

StateId RuleNfa::append(const RuleNfa& other) {
  const auto base = static_cast<StateId>(states.size());
  states.insert(states.end(), other.states.begin(), other.states.end());
  for (std::size_t i = static_cast<std::size_t>(base); i < states.size(); ++i) {
    for (ByteEdge& edge : states[i].bytes)
      edge.target += base;
    for (CallEdge& edge : states[i].calls)
      edge.target += base;
    for (StateId& target : states[i].empties)
      target += base;
  }
  return base;
}

std::vector<StateId> EmptyClosure::of(StateId from) {
  ++round_;
  std::vector<StateId> found{from};
  marks_[static_cast<std::size_t>(from)] = round_;
  for (std::size_t i = 0; i < found.size(); ++i) {
    for (const StateId next : nfa_.at(found[i]).empties) {
      if (marks_[static_cast<std::size_t>(next)] == round_) continue;
      marks_[static_cast<std::size_t>(next)] = round_;
      found.push_back(next);
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

Result<RuleNfa> build_rule_nfa(const Rules& rules, ExpressionId body, std::size_t& num_states, std::size_t max_states) {
  NfaBuilder builder(rules, num_states, max_states);
  builder.build(body, 0, 1);
  if (builder.full()) return resource_exhausted(fmt::format("the grammar needs more than {} states", max_states));
  return builder.take();
}

}  // namespace mlxr::grammar
