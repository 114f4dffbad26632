#include "core/runtime/grammar/char_automaton.h"

#include <algorithm>
#include <map>

#include "core/base/utf8.h"

namespace mlxr::grammar {
namespace {

// Two more characters, behind Unicode's: the frame around a text that anchors match.
constexpr char32_t kBegin = kMaxCodePoint + 1;
constexpr char32_t kEnd = kMaxCodePoint + 2;

struct CharNfa {
  struct State {
    std::vector<CharAutomaton::Edge> edges;
    std::vector<std::int32_t> empties;
  };
  std::vector<State> states;
  std::int32_t start = 0;
  std::int32_t final = 1;

  std::int32_t add() {
    states.emplace_back();
    return static_cast<std::int32_t>(states.size() - 1);
  }
  State& at(std::int32_t id) { return states[static_cast<std::size_t>(id)]; }
  const State& at(std::int32_t id) const { return states[static_cast<std::size_t>(id)]; }
};

class CharNfaBuilder {
 public:
  explicit CharNfaBuilder(const Rules& rules) : rules_(rules) {
    nfa_.add();
    nfa_.add();
  }

  void build(ExpressionId id, std::int32_t from, std::int32_t to) {
    if (full()) return;
    const Expression& e = rules_.at(id);
    switch (e.kind) {
      case ExpressionKind::kNever:
      case ExpressionKind::kByteRange:
        return;
      case ExpressionKind::kLiteral:
        return literal(rules_.text_of(e), from, to);
      case ExpressionKind::kChars:
        for (const CodePointRange& range : rules_.chars_of(e).ranges())
          nfa_.at(from).edges.push_back({range.low, range.high, to});
        return;
      case ExpressionKind::kSequence:
        for (std::size_t i = 0; i < e.parts.size(); ++i) {
          const std::int32_t next = i + 1 == e.parts.size() ? to : nfa_.add();
          build(e.parts[i], from, next);
          from = next;
        }
        return;
      case ExpressionKind::kChoice:
        for (const ExpressionId part : e.parts)
          build(part, from, to);
        return;
      case ExpressionKind::kRepeat:
        return repeat(e, from, to);
      case ExpressionKind::kRule:
        return build(rules_.body(e.low), from, to);
      case ExpressionKind::kGraph:
        return graph(rules_.graph_of(e), from, to);
    }
  }

  bool full() const { return nfa_.states.size() > 2 * CharAutomaton::kMaxStates; }
  CharNfa& nfa() { return nfa_; }

 private:
  void literal(std::string_view text, std::int32_t from, std::int32_t to) {
    if (text == kAnchorBegin || text == kAnchorEnd) {
      const char32_t anchor = text == kAnchorBegin ? kBegin : kEnd;
      nfa_.at(from).edges.push_back({anchor, anchor, to});
      return;
    }
    while (!text.empty()) {
      const Utf8Char c = decode_utf8(text);
      text.remove_prefix(c.length);
      const std::int32_t next = nfa_.add();
      nfa_.at(from).edges.push_back({c.code_point, c.code_point, next});
      from = next;
    }
    nfa_.at(from).empties.push_back(to);
  }

  void repeat(const Expression& e, std::int32_t from, std::int32_t to) {
    std::int32_t at = nfa_.add();
    nfa_.at(from).empties.push_back(at);
    for (int i = 0; i < e.low && !full(); ++i) {
      const std::int32_t next = nfa_.add();
      build(e.parts[0], at, next);
      at = next;
    }
    if (e.high == kUnbounded) {
      const std::int32_t loop = nfa_.add();
      nfa_.at(at).empties.push_back(loop);
      build(e.parts[0], loop, loop);
      at = loop;
    }
    for (int i = e.low; i < e.high && !full(); ++i) {
      nfa_.at(at).empties.push_back(to);
      const std::int32_t next = nfa_.add();
      build(e.parts[0], at, next);
      at = next;
    }
    nfa_.at(at).empties.push_back(to);
  }

  void graph(const Graph& graph, std::int32_t from, std::int32_t to) {
    std::vector<std::int32_t> ids;
    for (std::int32_t i = 0; i < graph.num_states; ++i)
      ids.push_back(nfa_.add());
    nfa_.at(from).empties.push_back(ids[0]);
    for (const GraphEdge& edge : graph.edges)
      build(edge.label, ids[static_cast<std::size_t>(edge.from)], ids[static_cast<std::size_t>(edge.to)]);
    for (const std::int32_t state : graph.accepting)
      nfa_.at(ids[static_cast<std::size_t>(state)]).empties.push_back(to);
  }

  const Rules& rules_;
  CharNfa nfa_;
};

}  // namespace

class CharSubsets {
 public:
  explicit CharSubsets(const CharNfa& nfa) : nfa_(nfa) {}

  std::optional<CharAutomaton> run() {
    CharAutomaton out;
    out.states_.clear();
    id_of({nfa_.start});
    std::size_t members = 0;
    for (std::size_t i = 0; i < subsets_.size(); ++i) {
      members += subsets_[i].size();
      if (subsets_.size() > CharAutomaton::kMaxStates || members > 20 * CharAutomaton::kMaxStates) return std::nullopt;
      CharAutomaton::State state;
      state.accepting = std::binary_search(subsets_[i].begin(), subsets_[i].end(), nfa_.final);
      expand(i, state);
      out.states_.push_back(std::move(state));
    }
    out.trim();
    return out;
  }

 private:
  using Subset = std::vector<std::int32_t>;

  std::int32_t id_of(Subset subset) {
    std::vector<bool>& seen = seen_;
    seen.assign(nfa_.states.size(), false);
    for (std::size_t i = 0; i < subset.size(); ++i) {
      seen[static_cast<std::size_t>(subset[i])] = true;
      for (const std::int32_t next : nfa_.at(subset[i]).empties) {
        if (seen[static_cast<std::size_t>(next)]) continue;
        seen[static_cast<std::size_t>(next)] = true;
        subset.push_back(next);
      }
    }
    std::erase_if(subset, [&](std::int32_t id) { return nfa_.at(id).edges.empty() && id != nfa_.final; });
    std::sort(subset.begin(), subset.end());
    subset.erase(std::unique(subset.begin(), subset.end()), subset.end());
    const auto [place, added] = ids_.try_emplace(subset, static_cast<std::int32_t>(subsets_.size()));
    if (added) subsets_.push_back(std::move(subset));
    return place->second;
  }

  void expand(std::size_t index, CharAutomaton::State& out) {
    std::vector<CharAutomaton::Edge> edges;
    std::vector<char32_t> cuts;
    for (const std::int32_t member : subsets_[index]) {
      for (const CharAutomaton::Edge& edge : nfa_.at(member).edges) {
        edges.push_back(edge);
        cuts.push_back(edge.low);
        cuts.push_back(edge.high + 1);
      }
    }
    std::sort(edges.begin(), edges.end(), [](const auto& a, const auto& b) { return a.low < b.low; });
    std::sort(cuts.begin(), cuts.end());
    cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
    std::vector<CharAutomaton::Edge> active;
    std::size_t next = 0;
    for (std::size_t c = 0; c + 1 < cuts.size(); ++c) {
      std::erase_if(active, [&](const auto& edge) { return edge.high < cuts[c]; });
      for (; next < edges.size() && edges[next].low == cuts[c]; ++next)
        active.push_back(edges[next]);
      if (active.empty()) continue;
      Subset targets;
      for (const auto& edge : active)
        targets.push_back(edge.target);
      std::sort(targets.begin(), targets.end());
      targets.erase(std::unique(targets.begin(), targets.end()), targets.end());
      const std::int32_t target = id_of(std::move(targets));
      const char32_t high = cuts[c + 1] - 1;
      if (!out.edges.empty() && out.edges.back().target == target && out.edges.back().high + 1 == cuts[c])
        out.edges.back().high = high;
      else
        out.edges.push_back({cuts[c], high, target});
    }
  }

  const CharNfa& nfa_;
  std::vector<Subset> subsets_;
  std::map<Subset, std::int32_t> ids_;
  std::vector<bool> seen_;
};

std::optional<CharAutomaton> CharAutomaton::of_length(std::int64_t min, std::int64_t max) {
  CharAutomaton out;
  const std::int64_t last = max == kUnbounded ? min : max;
  if (last >= static_cast<std::int64_t>(kMaxStates)) return std::nullopt;
  out.states_.assign(static_cast<std::size_t>(last) + 1, {});
  for (std::int64_t i = 0; i <= last; ++i) {
    State& state = out.states_[static_cast<std::size_t>(i)];
    state.accepting = i >= min;
    if (i < last)
      state.edges.push_back({0, kMaxCodePoint, static_cast<std::int32_t>(i + 1)});
    else if (max == kUnbounded)
      state.edges.push_back({0, kMaxCodePoint, static_cast<std::int32_t>(i)});
  }
  return out;
}

CharAutomaton CharAutomaton::any_text() {
  return *of_length(0, kUnbounded);
}

CharAutomaton CharAutomaton::of_texts(const std::vector<std::string>& texts) {
  CharNfa nfa;
  nfa.add();
  nfa.add();
  for (const std::string& text : texts) {
    std::int32_t at = nfa.start;
    for (std::string_view rest = text; !rest.empty();) {
      const Utf8Char c = decode_utf8(rest);
      rest.remove_prefix(c.length);
      const std::int32_t next = nfa.add();
      nfa.at(at).edges.push_back({c.code_point, c.code_point, next});
      at = next;
    }
    nfa.at(at).empties.push_back(nfa.final);
  }
  return CharSubsets(nfa).run().value_or(CharAutomaton());
}

std::optional<CharAutomaton> CharAutomaton::of_expression(const Rules& rules, ExpressionId expression, bool search) {
  CharNfaBuilder builder(rules);
  CharNfa& nfa = builder.nfa();
  const std::int32_t before = nfa.add();
  const std::int32_t behind = nfa.add();
  // A frame of any number of anchors around the text, so that several anchors at one place hold together.
  nfa.at(nfa.start).edges.push_back({kBegin, kBegin, nfa.start});
  nfa.at(nfa.start).empties.push_back(before);
  nfa.at(behind).empties.push_back(nfa.final);
  nfa.at(nfa.final).edges.push_back({kEnd, kEnd, nfa.final});
  if (search) {
    nfa.at(before).edges.push_back({0, kEnd, before});
    nfa.at(behind).edges.push_back({0, kEnd, behind});
  }
  builder.build(expression, before, behind);
  if (builder.full()) return std::nullopt;
  std::optional<CharAutomaton> framed = CharSubsets(nfa).run();
  if (!framed.has_value()) return std::nullopt;
  // Only texts inside of a frame count: begin signs, characters, end signs.
  CharAutomaton frame;
  frame.states_.assign(3, {});
  frame.states_[0] = {{{0, kMaxCodePoint, 1}, {kBegin, kBegin, 0}, {kEnd, kEnd, 2}}, true};
  frame.states_[1] = {{{0, kMaxCodePoint, 1}, {kEnd, kEnd, 2}}, true};
  frame.states_[2] = {{{kEnd, kEnd, 2}}, true};
  framed = framed->common(frame);
  if (!framed.has_value()) return std::nullopt;
  CharNfa bare;
  bare.states.resize(framed->states_.size() + 1);
  bare.final = static_cast<std::int32_t>(framed->states_.size());
  for (std::size_t i = 0; i < framed->states_.size(); ++i) {
    for (const Edge& edge : framed->states_[i].edges) {
      if (edge.low <= kMaxCodePoint)
        bare.states[i].edges.push_back({edge.low, std::min(edge.high, kMaxCodePoint), edge.target});
      if (edge.high > kMaxCodePoint) bare.states[i].empties.push_back(edge.target);
    }
    if (framed->states_[i].accepting) bare.states[i].empties.push_back(bare.final);
  }
  return CharSubsets(bare).run();
}

std::optional<CharAutomaton> CharAutomaton::common(const CharAutomaton& other) const {
  CharAutomaton out;
  out.states_.clear();
  std::map<std::pair<std::int32_t, std::int32_t>, std::int32_t> ids{{{0, 0}, 0}};
  std::vector<std::pair<std::int32_t, std::int32_t>> pairs{{0, 0}};
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    if (pairs.size() > kMaxStates) return std::nullopt;
    const State& a = states_[static_cast<std::size_t>(pairs[i].first)];
    const State& b = other.states_[static_cast<std::size_t>(pairs[i].second)];
    State state;
    state.accepting = a.accepting && b.accepting;
    std::size_t x = 0;
    std::size_t y = 0;
    while (x < a.edges.size() && y < b.edges.size()) {
      const char32_t low = std::max(a.edges[x].low, b.edges[y].low);
      const char32_t high = std::min(a.edges[x].high, b.edges[y].high);
      if (low <= high) {
        const std::pair target(a.edges[x].target, b.edges[y].target);
        const auto [place, added] = ids.try_emplace(target, static_cast<std::int32_t>(pairs.size()));
        if (added) pairs.push_back(target);
        state.edges.push_back({low, high, place->second});
      }
      if (a.edges[x].high < b.edges[y].high)
        ++x;
      else
        ++y;
    }
    out.states_.push_back(std::move(state));
  }
  out.trim();
  return out;
}

CharAutomaton CharAutomaton::complement() const {
  CharAutomaton out = *this;
  const auto rest = static_cast<std::int32_t>(out.states_.size());
  for (State& state : out.states_) {
    state.accepting = !state.accepting;
    std::vector<Edge> edges;
    char32_t next = 0;
    for (const Edge& edge : state.edges) {
      if (edge.low > next) edges.push_back({next, edge.low - 1, rest});
      edges.push_back(edge);
      next = edge.high + 1;
    }
    if (next <= kMaxCodePoint) edges.push_back({next, kMaxCodePoint, rest});
    state.edges = std::move(edges);
  }
  out.states_.push_back({{{0, kMaxCodePoint, rest}}, true});
  out.trim();
  return out;
}

bool CharAutomaton::matches(std::string_view text) const {
  std::size_t at = 0;
  while (!text.empty()) {
    const Utf8Char c = decode_utf8(text);
    text.remove_prefix(c.length);
    const auto& edges = states_[at].edges;
    const auto edge = std::find_if(edges.begin(), edges.end(),
                                   [&](const Edge& e) { return e.low <= c.code_point && c.code_point <= e.high; });
    if (edge == edges.end()) return false;
    at = static_cast<std::size_t>(edge->target);
  }
  return states_[at].accepting;
}

bool CharAutomaton::empty() const {
  return std::none_of(states_.begin(), states_.end(), [](const State& state) { return state.accepting; });
}

// Leaves out states that no accepting one can be reached from.
void CharAutomaton::trim() {
  std::vector<std::vector<std::size_t>> sources(states_.size());
  std::vector<std::size_t> queue;
  std::vector<bool> lives(states_.size());
  for (std::size_t i = 0; i < states_.size(); ++i) {
    for (const Edge& edge : states_[i].edges)
      sources[static_cast<std::size_t>(edge.target)].push_back(i);
    if (!states_[i].accepting) continue;
    lives[i] = true;
    queue.push_back(i);
  }
  while (!queue.empty()) {
    const std::size_t state = queue.back();
    queue.pop_back();
    for (const std::size_t source : sources[state]) {
      if (lives[source]) continue;
      lives[source] = true;
      queue.push_back(source);
    }
  }
  lives[0] = true;
  std::vector<std::int32_t> ids(states_.size(), -1);
  std::vector<State> kept;
  for (std::size_t i = 0; i < states_.size(); ++i) {
    if (!lives[i]) continue;
    ids[i] = static_cast<std::int32_t>(kept.size());
    kept.push_back(std::move(states_[i]));
  }
  for (State& state : kept) {
    std::erase_if(state.edges, [&](const Edge& edge) { return ids[static_cast<std::size_t>(edge.target)] < 0; });
    for (Edge& edge : state.edges)
      edge.target = ids[static_cast<std::size_t>(edge.target)];
  }
  states_ = std::move(kept);
}

}  // namespace mlxr::grammar
