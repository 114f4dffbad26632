#include "core/runtime/grammar/determinize.h"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <unordered_map>

#include "core/runtime/grammar/merged_states.h"

namespace mlxr::grammar {
namespace {

using Subset = std::vector<StateId>;

struct HashInts {
  std::size_t operator()(const std::vector<std::int32_t>& values) const {
    std::size_t hash = 0xcbf29ce484222325U;
    for (const std::int32_t value : values)
      hash = (hash ^ static_cast<std::uint32_t>(value)) * 0x100000001b3U;
    return hash ^ (hash >> 29);
  }
};

void sort_unique(Subset& subset) {
  std::sort(subset.begin(), subset.end());
  subset.erase(std::unique(subset.begin(), subset.end()), subset.end());
}

class SubsetConstruction {
 public:
  explicit SubsetConstruction(const RuleNfa& nfa) : nfa_(nfa), closure_(nfa), closures_(nfa.states.size()) {}

  // nullopt when the subsets grow past what the rule's size allows.
  std::optional<std::vector<AutomatonState>> run() {
    const std::size_t max_states = 2 * nfa_.states.size() + 256;
    const std::size_t max_members = std::min<std::size_t>(64 * nfa_.states.size() + 65'536, 4'000'000);
    // The start is a state of its own: the same subset may be reached again, and then accept.
    subsets_.push_back(closure_of(RuleNfa::kStart));
    states_.emplace_back();
    std::size_t members = 0;
    for (std::size_t i = 0; i < subsets_.size(); ++i) {
      members += subsets_[i].size();
      if (subsets_.size() > max_states || members > max_members) return std::nullopt;
      expand(i);
    }
    return std::move(states_);
  }

 private:
  // Without the states that only lead on by empty edges.
  const Subset& closure_of(StateId state) {
    Subset& kept = closures_[static_cast<std::size_t>(state)];
    if (!kept.empty()) return kept;
    for (const StateId member : closure_.of(state)) {
      const NfaState& s = nfa_.at(member);
      if (!s.bytes.empty() || !s.calls.empty() || member == RuleNfa::kFinal) kept.push_back(member);
    }
    if (kept.empty()) kept.push_back(state);
    return kept;
  }

  StateId id_of(const Subset& targets) {
    Subset subset;
    for (const StateId target : targets) {
      const Subset& members = closure_of(target);
      subset.insert(subset.end(), members.begin(), members.end());
    }
    sort_unique(subset);
    const auto [place, added] = ids_.try_emplace(subset, static_cast<StateId>(subsets_.size()));
    if (added) {
      AutomatonState state;
      state.accepting = std::binary_search(subset.begin(), subset.end(), RuleNfa::kFinal);
      states_.push_back(std::move(state));
      subsets_.push_back(std::move(subset));
    }
    return place->second;
  }

  void expand(std::size_t index) {
    std::vector<ByteEdge> bytes;
    std::map<RuleId, Subset> calls;
    for (const StateId member : subsets_[index]) {
      const NfaState& s = nfa_.at(member);
      bytes.insert(bytes.end(), s.bytes.begin(), s.bytes.end());
      for (const CallEdge& call : s.calls)
        calls[call.rule].push_back(call.target);
    }
    AutomatonState expanded;
    expanded.accepting = states_[index].accepting;
    expand_bytes(bytes, expanded);
    for (auto& [rule, targets] : calls) {
      sort_unique(targets);
      expanded.calls.push_back({rule, id_of(targets)});
    }
    states_[index] = std::move(expanded);
  }

  void expand_bytes(std::vector<ByteEdge>& edges, AutomatonState& out) {
    std::sort(edges.begin(), edges.end(), [](const ByteEdge& a, const ByteEdge& b) { return a.low < b.low; });
    std::vector<int> cuts;
    for (const ByteEdge& edge : edges) {
      cuts.push_back(edge.low);
      cuts.push_back(edge.high + 1);
    }
    std::sort(cuts.begin(), cuts.end());
    cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
    std::vector<ByteEdge> active;
    std::size_t next_edge = 0;
    for (std::size_t c = 0; c + 1 < cuts.size(); ++c) {
      const int low = cuts[c];
      std::erase_if(active, [&](const ByteEdge& edge) { return edge.high < low; });
      for (; next_edge < edges.size() && edges[next_edge].low == low; ++next_edge)
        active.push_back(edges[next_edge]);
      if (active.empty()) continue;
      Subset targets;
      for (const ByteEdge& edge : active)
        targets.push_back(edge.target);
      sort_unique(targets);
      const StateId target = id_of(targets);
      const auto high = static_cast<std::uint8_t>(cuts[c + 1] - 1);
      if (!out.bytes.empty() && out.bytes.back().target == target && out.bytes.back().high + 1 == low)
        out.bytes.back().high = high;
      else
        out.bytes.push_back({static_cast<std::uint8_t>(low), high, target});
    }
  }

  const RuleNfa& nfa_;
  EmptyClosure closure_;
  std::vector<Subset> closures_;
  std::vector<Subset> subsets_;
  std::vector<AutomatonState> states_;
  std::unordered_map<Subset, StateId, HashInts> ids_;
};

// The same states with the edges of their closures instead of empty ones.
std::vector<AutomatonState> without_empties(const RuleNfa& nfa) {
  std::vector<AutomatonState> out(nfa.states.size());
  EmptyClosure closure(nfa);
  for (std::size_t i = 0; i < nfa.states.size(); ++i) {
    const auto id = static_cast<StateId>(i);
    for (const StateId member : closure.of(id)) {
      const NfaState& s = nfa.at(member);
      out[i].bytes.insert(out[i].bytes.end(), s.bytes.begin(), s.bytes.end());
      out[i].calls.insert(out[i].calls.end(), s.calls.begin(), s.calls.end());
      if (member == RuleNfa::kFinal && id != RuleNfa::kStart) out[i].accepting = true;
    }
    std::sort(out[i].bytes.begin(), out[i].bytes.end(), [](const ByteEdge& a, const ByteEdge& b) {
      return a.low != b.low ? a.low < b.low : a.target < b.target;
    });
  }
  return out;
}

// Keeps what is reachable from state 0 and can reach an accepting state; ids are dense afterwards.
void trim(std::vector<AutomatonState>& states) {
  std::vector<std::vector<StateId>> sources(states.size());
  std::vector<StateId> queue;
  std::vector<bool> completes(states.size());
  for (std::size_t i = 0; i < states.size(); ++i) {
    for (const ByteEdge& edge : states[i].bytes)
      sources[static_cast<std::size_t>(edge.target)].push_back(static_cast<StateId>(i));
    for (const CallEdge& edge : states[i].calls)
      sources[static_cast<std::size_t>(edge.target)].push_back(static_cast<StateId>(i));
    if (states[i].accepting) {
      completes[i] = true;
      queue.push_back(static_cast<StateId>(i));
    }
  }
  for (std::size_t i = 0; i < queue.size(); ++i) {
    for (const StateId source : sources[static_cast<std::size_t>(queue[i])]) {
      if (completes[static_cast<std::size_t>(source)]) continue;
      completes[static_cast<std::size_t>(source)] = true;
      queue.push_back(source);
    }
  }
  if (!completes[0]) {
    states.clear();
    return;
  }
  std::vector<StateId> ids(states.size(), -1);
  std::vector<StateId> order{0};
  ids[0] = 0;
  const auto visit = [&](StateId target) {
    if (!completes[static_cast<std::size_t>(target)]) return StateId{-1};
    StateId& id = ids[static_cast<std::size_t>(target)];
    if (id < 0) {
      id = static_cast<StateId>(order.size());
      order.push_back(target);
    }
    return id;
  };
  std::vector<AutomatonState> kept;
  for (std::size_t i = 0; i < order.size(); ++i) {
    AutomatonState& old = states[static_cast<std::size_t>(order[i])];
    AutomatonState state;
    state.accepting = old.accepting;
    for (const ByteEdge& edge : old.bytes) {
      const StateId target = visit(edge.target);
      if (target >= 0) state.bytes.push_back({edge.low, edge.high, target});
    }
    for (const CallEdge& edge : old.calls) {
      const StateId target = visit(edge.target);
      if (target >= 0) state.calls.push_back({edge.rule, target});
    }
    kept.push_back(std::move(state));
  }
  states = std::move(kept);
}

using Classes = std::vector<std::int32_t>;

void signature_of(const AutomatonState& state, std::int32_t self, const Classes& classes, Classes& out) {
  out.clear();
  out.push_back(state.accepting ? 1 : 0);
  const auto class_of = [&](StateId target) { return target == self ? -1 : classes[static_cast<std::size_t>(target)]; };
  int high = -2;
  for (const ByteEdge& edge : state.bytes) {
    const std::int32_t target = class_of(edge.target);
    if (high + 1 == edge.low && out.back() == target) {
      high = edge.high;
      out[out.size() - 2] = high;
      continue;
    }
    high = edge.high;
    out.insert(out.end(), {edge.low, high, target});
  }
  out.push_back(-2);
  for (const CallEdge& edge : state.calls)
    out.insert(out.end(), {edge.rule, class_of(edge.target)});
}

// Merges states with the same edges, last ones first, over and over: every merge is right, some may be missed.
Classes merge_equal(const std::vector<AutomatonState>& states) {
  Classes classes(states.size());
  for (std::size_t i = 0; i < states.size(); ++i)
    classes[i] = static_cast<std::int32_t>(i);
  Classes signature;
  for (int round = 0; round < 8; ++round) {
    bool changed = false;
    std::unordered_map<Classes, std::int32_t, HashInts> ids;
    for (std::size_t i = states.size(); i-- > 0;) {
      signature_of(states[i], static_cast<std::int32_t>(i), classes, signature);
      const std::int32_t first = ids.try_emplace(signature, static_cast<std::int32_t>(i)).first->second;
      changed = changed || classes[i] != classes[static_cast<std::size_t>(first)];
      classes[i] = classes[static_cast<std::size_t>(first)];
    }
    if (!changed) break;
  }
  return classes;
}

void minimize(std::vector<AutomatonState>& states) {
  constexpr std::size_t kSmall = 20'000;
  constexpr int kAnyDepth[] = {std::numeric_limits<int>::max()};
  Classes classes = states.size() <= kSmall ? merge_states(states, kAnyDepth).maps[0] : merge_equal(states);
  if (classes.empty()) return;
  std::vector<StateId> first(states.size(), -1);  // by class: the state that stands for it
  for (std::size_t i = 0; i < states.size(); ++i) {
    StateId& representative = first[static_cast<std::size_t>(classes[i])];
    if (representative < 0) representative = static_cast<StateId>(i);
  }
  const auto representative_of = [&](StateId id) {
    return first[static_cast<std::size_t>(classes[static_cast<std::size_t>(id)])];
  };
  for (AutomatonState& state : states) {
    std::vector<ByteEdge> bytes;
    for (ByteEdge edge : state.bytes) {
      edge.target = representative_of(edge.target);
      if (!bytes.empty() && bytes.back().target == edge.target && bytes.back().high + 1 == edge.low)
        bytes.back().high = edge.high;
      else
        bytes.push_back(edge);
    }
    state.bytes = std::move(bytes);
    for (CallEdge& edge : state.calls)
      edge.target = representative_of(edge.target);
  }
  trim(states);
}

}  // namespace

std::vector<AutomatonState> determinize(const RuleNfa& nfa) {
  std::optional<std::vector<AutomatonState>> subsets = SubsetConstruction(nfa).run();
  std::vector<AutomatonState> states = subsets.has_value() ? std::move(*subsets) : without_empties(nfa);
  trim(states);
  if (!states.empty()) minimize(states);
  return states;
}

}  // namespace mlxr::grammar
