#include "core/runtime/spec/suffix_automaton.h"

namespace mlxr {
namespace {

std::size_t hash_of(SuffixAutomaton::State from, TokenId token) {
  std::uint64_t hash =
      (static_cast<std::uint64_t>(static_cast<std::uint32_t>(from)) << 32) | static_cast<std::uint32_t>(token);
  hash *= 0x9e3779b97f4a7c15U;
  return static_cast<std::size_t>(hash ^ (hash >> 32));
}

}  // namespace

SuffixAutomaton::SuffixAutomaton() : nodes_(1), table_(64, kNoEdge) {}

SuffixAutomaton::State SuffixAutomaton::make(std::int32_t length) {
  nodes_.push_back({.length = length});
  return static_cast<State>(nodes_.size() - 1);
}

std::int32_t SuffixAutomaton::find_edge(State from, TokenId token) const {
  const std::size_t mask = table_.size() - 1;
  for (std::size_t slot = hash_of(from, token) & mask;; slot = (slot + 1) & mask) {
    const std::int32_t edge = table_[slot];
    if (edge == kNoEdge) return kNoEdge;
    const Edge& found = edges_[static_cast<std::size_t>(edge)];
    if (found.from == from && found.token == token) return edge;
  }
}

void SuffixAutomaton::add_edge(State from, TokenId token, State to) {
  if ((edges_.size() + 1) * 2 > table_.size()) grow_table();
  Node& node = nodes_[static_cast<std::size_t>(from)];
  const auto edge = static_cast<std::int32_t>(edges_.size());
  edges_.push_back({from, token, to, node.first_edge});
  node.first_edge = edge;
  const std::size_t mask = table_.size() - 1;
  std::size_t slot = hash_of(from, token) & mask;
  while (table_[slot] != kNoEdge)
    slot = (slot + 1) & mask;
  table_[slot] = edge;
}

void SuffixAutomaton::grow_table() {
  table_.assign(table_.size() * 2, kNoEdge);
  const std::size_t mask = table_.size() - 1;
  for (std::size_t edge = 0; edge < edges_.size(); ++edge) {
    std::size_t slot = hash_of(edges_[edge].from, edges_[edge].token) & mask;
    while (table_[slot] != kNoEdge)
      slot = (slot + 1) & mask;
    table_[slot] = static_cast<std::int32_t>(edge);
  }
}

// `old` has runs that stand where others of its runs do not: those up to one longer than `from`'s become a state of
// their own, to which all shorter ends of the text lead from now on.
SuffixAutomaton::State SuffixAutomaton::split(State from, TokenId token, State old) {
  const State made = make(nodes_[static_cast<std::size_t>(from)].length + 1);
  nodes_[static_cast<std::size_t>(made)].link = nodes_[static_cast<std::size_t>(old)].link;
  nodes_[static_cast<std::size_t>(made)].count = nodes_[static_cast<std::size_t>(old)].count;
  for (std::int32_t edge = nodes_[static_cast<std::size_t>(old)].first_edge; edge != kNoEdge;
       edge = edges_[static_cast<std::size_t>(edge)].next) {
    const Edge copied = edges_[static_cast<std::size_t>(edge)];
    add_edge(made, copied.token, copied.to);
  }
  nodes_[static_cast<std::size_t>(old)].link = made;
  for (State state = from; state != kNone; state = nodes_[static_cast<std::size_t>(state)].link) {
    const std::int32_t edge = find_edge(state, token);
    if (edge == kNoEdge || edges_[static_cast<std::size_t>(edge)].to != old) break;
    edges_[static_cast<std::size_t>(edge)].to = made;
  }
  return made;
}

void SuffixAutomaton::add(TokenId token) {
  ++num_tokens_;
  const auto target = [&](State from) -> State {
    const std::int32_t edge = find_edge(from, token);
    return edge == kNoEdge ? kNone : edges_[static_cast<std::size_t>(edge)].to;
  };
  const auto fits = [&](State from, State to) {
    return nodes_[static_cast<std::size_t>(to)].length == nodes_[static_cast<std::size_t>(from)].length + 1;
  };
  State now = kNone;
  if (const State known = target(last_); known != kNone) {  // an earlier text began like this one
    now = fits(last_, known) ? known : split(last_, token, known);
  } else {
    now = make(nodes_[static_cast<std::size_t>(last_)].length + 1);
    State from = last_;
    while (from != kNone && target(from) == kNone) {
      add_edge(from, token, now);
      from = nodes_[static_cast<std::size_t>(from)].link;
    }
    State link = kRoot;
    if (from != kNone) {
      link = target(from);
      if (!fits(from, link)) link = split(from, token, link);
    }
    nodes_[static_cast<std::size_t>(now)].link = link;
  }
  last_ = now;
  int links = 0;
  for (State state = now; state != kRoot && links < kMaxLinks; ++links) {
    ++nodes_[static_cast<std::size_t>(state)].count;
    state = nodes_[static_cast<std::size_t>(state)].link;
  }
}

SuffixAutomaton::Match SuffixAutomaton::repeated_end() const {
  Match match{last_, nodes_[static_cast<std::size_t>(last_)].length};
  while (match.state != kRoot && nodes_[static_cast<std::size_t>(match.state)].count < 2)
    match = shorter(match);
  return match;
}

SuffixAutomaton::Match SuffixAutomaton::find_end(std::span<const TokenId> tokens) const {
  Match match;
  for (const TokenId token : tokens) {
    std::int32_t edge = find_edge(match.state, token);
    while (edge == kNoEdge && match.state != kRoot) {
      match = shorter(match);
      edge = find_edge(match.state, token);
    }
    if (edge != kNoEdge) match = {edges_[static_cast<std::size_t>(edge)].to, match.length + 1};
  }
  return match;
}

SuffixAutomaton::Match SuffixAutomaton::shorter(const Match& match) const {
  const State link = nodes_[static_cast<std::size_t>(match.state)].link;
  if (link == kNone) return {};
  return {link, nodes_[static_cast<std::size_t>(link)].length};
}

SuffixAutomaton::Continuation SuffixAutomaton::most_frequent(State state) const {
  Continuation best;
  int read = 0;
  for (std::int32_t edge = nodes_[static_cast<std::size_t>(state)].first_edge; edge != kNoEdge && read < kMaxEdgesRead;
       edge = edges_[static_cast<std::size_t>(edge)].next, ++read) {
    const Edge& next = edges_[static_cast<std::size_t>(edge)];
    const std::int64_t count = nodes_[static_cast<std::size_t>(next.to)].count;
    best.total += count;
    if (count < best.count || (count == best.count && next.token > best.token)) continue;
    best.token = next.token;
    best.state = next.to;
    best.count = count;
  }
  return best;
}

}  // namespace mlxr
