#include "core/runtime/grammar/stack_machine.h"

#include <algorithm>

#include "core/base/check.h"

namespace mlxr::grammar {
namespace {

constexpr NodeId kNotImported = -1;

std::uint64_t hash_places(std::span<const Place> places, std::uint64_t seed) {
  std::uint64_t hash = seed;
  for (const Place& place : places) {
    const auto state = static_cast<std::uint64_t>(static_cast<std::uint32_t>(place.state));
    hash = mix_hash(hash ^ (state << 32U) ^ static_cast<std::uint32_t>(place.node));
  }
  return hash;
}

void sort_unique(std::vector<Place>& places) {
  std::sort(places.begin(), places.end());
  places.erase(std::unique(places.begin(), places.end()), places.end());
}

}  // namespace

StackMachine::StackMachine(const RuleAutomata& automata, const GrammarLimits& limits, std::span<const StateId> merged)
    : automata_(automata), merged_(merged), max_places_(limits.max_places), work_left_(limits.max_work) {
  nodes_.resize(2);
}

ConfigId StackMachine::root() {
  if (root_ != kNotMade) return root_;
  reached_.assign(1, {merged(automata_.root_start()), kRootNode});
  ends_ = automata_.matches_empty();
  leaves_ = false;
  root_ = make_config();
  return root_;
}

ConfigId StackMachine::at_state(StateId state) {
  if (const auto found = state_configs_.find(state); found != state_configs_.end()) return found->second;
  reached_.assign(1, {state, kBottomNode});
  ends_ = leaves_ = false;
  const ConfigId made = make_config();
  if (made != kOverLimit) state_configs_.emplace(state, made);
  return made;
}

ConfigId StackMachine::after(NodeId node) {
  MLXR_CHECK(node > kBottomNode, "only calls return");
  if (nodes_[static_cast<std::size_t>(node)].after != kNotMade) return nodes_[static_cast<std::size_t>(node)].after;
  const std::span<const Place> returns = returns_of(node);
  reached_.assign(returns.begin(), returns.end());
  ends_ = leaves_ = false;
  const ConfigId made = make_config();
  if (made != kOverLimit) nodes_[static_cast<std::size_t>(node)].after = made;
  return made;
}

ConfigId StackMachine::make_next(ConfigId config, std::uint8_t byte) {
  // Bytes around this one that lead to the same places are done at once.
  int low = 0;
  int high = 255;
  reached_.clear();
  ends_ = leaves_ = false;
  const Config& from = at(config);
  for (std::size_t i = from.begin; i < from.begin + from.num_places; ++i) {
    const Place place = places_[i];
    for (const ByteEdge& edge : automata_.state(place.state).bytes) {
      if (edge.high < byte) {
        low = std::max(low, edge.high + 1);
      } else if (edge.low > byte) {
        high = std::min(high, edge.low - 1);
        break;
      } else {
        low = std::max<int>(low, edge.low);
        high = std::min<int>(high, edge.high);
        reached_.push_back({merged(edge.target), place.node});
      }
    }
  }
  work_left_ -= 1 + from.num_places;
  if (work_left_ < 0) return kOverLimit;
  const ConfigId made = reached_.empty() ? kDead : make_config();
  if (made == kOverLimit) return made;
  std::int32_t& row = configs_[static_cast<std::size_t>(config)].row;
  if (row < 0) {
    row = static_cast<std::int32_t>(rows_.size());
    rows_.emplace_back().fill(kNotMade);
  }
  std::fill_n(rows_[static_cast<std::size_t>(row)].begin() + low, high - low + 1, made);
  return made;
}

ConfigId StackMachine::make_config() {
  if (!complete_places()) return kOverLimit;
  if (kernel_.empty() && !ends_ && !leaves_) return kDead;
  const std::uint64_t hash = hash_places(kernel_, (ends_ ? 2U : 0U) + (leaves_ ? 1U : 0U));
  const std::int32_t found = config_index_.find(hash, [&](std::int32_t id) {
    const Config& c = at(id);
    return c.ends == ends_ && c.leaves == leaves_ && c.num_kernel == kernel_.size() &&
           std::equal(kernel_.begin(), kernel_.end(), places_.begin() + static_cast<std::ptrdiff_t>(c.begin));
  });
  if (found >= 0) return found;
  Config made;
  made.begin = places_.size();
  made.num_kernel = static_cast<std::uint32_t>(kernel_.size());
  made.ends = ends_;
  made.leaves = leaves_;
  places_.insert(places_.end(), kernel_.begin(), kernel_.end());
  if (!add_called_places(made.begin)) {
    places_.resize(made.begin);
    return kOverLimit;
  }
  made.num_places = static_cast<std::uint32_t>(places_.size() - made.begin);
  const auto id = static_cast<ConfigId>(configs_.size());
  configs_.push_back(made);
  config_index_.add(hash, id);
  return id;
}

// From reached_ to kernel_: rules that are complete return, over and over.
bool StackMachine::complete_places() {
  kernel_.clear();
  if (reached_.size() == 1) {
    // The common case, without sorting anything.
    const AutomatonState& state = automata_.state(reached_[0].state);
    if (!state.accepting) {
      if (state.leaves()) kernel_.push_back(reached_[0]);
      return true;
    }
  }
  sort_unique(reached_);
  std::vector<Place> fresh;
  std::vector<Place> merged;
  std::span<const Place> round = reached_;
  std::vector<Place> round_places;
  while (!round.empty()) {
    if (reached_.size() > max_places_) return false;
    work_left_ -= static_cast<std::int64_t>(round.size());
    fresh.clear();
    for (const Place place : round) {
      const AutomatonState& state = automata_.state(place.state);
      if (state.leaves()) kernel_.push_back(place);
      if (!state.accepting) continue;
      if (place.node == kRootNode) {
        ends_ = true;
      } else if (place.node == kBottomNode) {
        leaves_ = true;
      } else {
        const std::span<const Place> returns = returns_of(place.node);
        fresh.insert(fresh.end(), returns.begin(), returns.end());
      }
    }
    sort_unique(fresh);
    round_places.clear();
    std::set_difference(fresh.begin(), fresh.end(), reached_.begin(), reached_.end(), std::back_inserter(round_places));
    merged.clear();
    std::merge(reached_.begin(), reached_.end(), round_places.begin(), round_places.end(), std::back_inserter(merged));
    reached_.swap(merged);
    round = round_places;
  }
  std::sort(kernel_.begin(), kernel_.end());
  return true;
}

void StackMachine::add_calls(Place place) {
  for (const CallEdge& edge : automata_.state(place.state).calls) {
    const std::int32_t rank = automata_.rule(edge.rule).rank;
    const bool nothing_follows = !automata_.state(edge.target).leaves();
    if (nothing_follows && place.node > kBottomNode) {
      // A call at the very end of a rule returns to the rule's own callers: right recursion takes no stack.
      for (const Place& back : returns_of(place.node))
        calls_.push_back({rank, edge.rule, back});
    } else {
      calls_.push_back({rank, edge.rule, {merged(edge.target), place.node}});
    }
  }
}

// Appends the starts of the rules that the places from `begin` on call, directly or through others. Ranks grow along
// such calls, so that all callers of a rule are known when its turn comes.
bool StackMachine::add_called_places(std::size_t begin) {
  const auto later = [](const Call& a, const Call& b) { return a.rank > b.rank; };
  calls_.clear();
  for (std::size_t i = begin; i < places_.size(); ++i)
    add_calls(places_[i]);
  std::make_heap(calls_.begin(), calls_.end(), later);
  while (!calls_.empty()) {
    const RuleId rule = calls_.front().rule;
    backs_.clear();
    while (!calls_.empty() && calls_.front().rule == rule) {
      backs_.push_back(calls_.front().back);
      std::pop_heap(calls_.begin(), calls_.end(), later);
      calls_.pop_back();
    }
    sort_unique(backs_);
    work_left_ -= static_cast<std::int64_t>(backs_.size());
    const Place called{merged(automata_.rule(rule).start), node_of(backs_)};
    places_.push_back(called);
    if (places_.size() - begin > max_places_) return false;
    const std::size_t old_size = calls_.size();
    add_calls(called);
    if (calls_.size() > 8 * max_places_) return false;
    for (std::size_t i = old_size; i < calls_.size(); ++i)
      std::push_heap(calls_.begin(), calls_.begin() + static_cast<std::ptrdiff_t>(i) + 1, later);
  }
  return true;
}

NodeId StackMachine::node_of(std::span<const Place> returns) {
  const std::uint64_t hash = hash_places(returns, 7);
  const std::int32_t found = node_index_.find(hash, [&](std::int32_t id) {
    const std::span<const Place> known = returns_of(id);
    return std::equal(known.begin(), known.end(), returns.begin(), returns.end());
  });
  if (found >= 0) return found;
  Node node;
  node.begin = returns_.size();
  node.num_returns = static_cast<std::uint32_t>(returns.size());
  returns_.insert(returns_.end(), returns.begin(), returns.end());
  const auto id = static_cast<NodeId>(nodes_.size());
  nodes_.push_back(node);
  node_index_.add(hash, id);
  return id;
}

int StackMachine::only_byte(ConfigId config) const {
  int only = -1;
  const Config& c = at(config);
  for (std::size_t i = c.begin; i < c.begin + c.num_places; ++i) {
    for (const ByteEdge& edge : automata_.state(places_[i].state).bytes) {
      if (edge.low != edge.high || (only >= 0 && only != edge.low)) return -1;
      only = edge.low;
    }
  }
  return only;
}

ConfigId StackMachine::import(const StackMachine& other, ConfigId config, std::vector<NodeId>& nodes) {
  if (config < 0) return config;
  if (nodes.size() < other.nodes_.size()) nodes.resize(other.nodes_.size(), kNotImported);
  nodes[kRootNode] = kRootNode;
  nodes[kBottomNode] = kBottomNode;
  for (const Place& place : other.kernel(config))
    import_node(other, place.node, nodes);
  reached_ = translate(other.kernel(config), nodes);
  ends_ = other.ends(config);
  leaves_ = other.leaves(config);
  return make_config();
}

void StackMachine::import_node(const StackMachine& other, NodeId node, std::vector<NodeId>& nodes) {
  // Nodes refer to older nodes only.
  std::vector<NodeId> needed{node};
  while (!needed.empty()) {
    const NodeId last = needed.back();
    const std::size_t before = needed.size();
    if (nodes[static_cast<std::size_t>(last)] == kNotImported) {
      for (const Place& place : other.returns_of(last))
        if (nodes[static_cast<std::size_t>(place.node)] == kNotImported) needed.push_back(place.node);
      if (needed.size() > before) continue;
      work_left_ -= static_cast<std::int64_t>(other.returns_of(last).size());
      nodes[static_cast<std::size_t>(last)] = node_of(translate(other.returns_of(last), nodes));
    }
    needed.pop_back();
  }
}

std::vector<Place> StackMachine::translate(std::span<const Place> places, const std::vector<NodeId>& nodes) const {
  std::vector<Place> out;
  for (const Place& place : places)
    out.push_back({merged(place.state), nodes[static_cast<std::size_t>(place.node)]});
  sort_unique(out);
  return out;
}

std::size_t StackMachine::bytes() const {
  return configs_.size() * sizeof(Config) + places_.size() * sizeof(Place) + nodes_.size() * sizeof(Node) +
         returns_.size() * sizeof(Place) + rows_.size() * sizeof(Row) + config_index_.bytes() + node_index_.bytes();
}

}  // namespace mlxr::grammar
