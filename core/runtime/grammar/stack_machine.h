#pragma once
// Where a text may stand in a grammar, byte by byte, for any context-free grammar, ambiguous ones included.
//
// A place is a state of an automaton and a stack node: whom to return to when its rule is complete. A configuration is
// the set of places that a text may be at. Nodes work as in Earley's and Tomita's parsers: all callers of a rule at one
// position share one node, so there is at most one new node a rule and byte. Nodes and configurations are made once and
// then found by content (hash consing): the same surroundings give the same number, a step once made is a table
// lookup, and the machine is in effect a deterministic automaton that is built as far as texts reach. Going back is
// remembering a number.
//
// Not thread-safe. Memory only grows; the owner starts a new machine and imports what is alive.

#include <array>
#include <cstdint>
#include <deque>
#include <span>
#include <unordered_map>
#include <vector>

#include "core/runtime/grammar/intern_index.h"
#include "core/runtime/grammar/limits.h"
#include "core/runtime/grammar/rule_automata.h"

namespace mlxr::grammar {

using NodeId = std::int32_t;
using ConfigId = std::int32_t;

inline constexpr ConfigId kDead = -1;       // no text goes on like this
inline constexpr ConfigId kOverLimit = -2;  // too many places, or the work is used up
inline constexpr ConfigId kNotMade = -3;

inline constexpr NodeId kRootNode = 0;    // returning here ends the text
inline constexpr NodeId kBottomNode = 1;  // returning here leaves what at_state() looks at

struct Place {
  StateId state;
  NodeId node;

  friend bool operator==(const Place&, const Place&) = default;
  friend auto operator<=>(const Place&,
                          const Place&) = default;  // NOLINT(modernize-use-nullptr): the check misreads <=>
};

class StackMachine {
 public:
  // The automata must outlive the machine. With `merged` (RuleAutomata::merged) every state is replaced by the one that
  // stands for it: the machine is then right about short texts only, and has fewer configurations.
  StackMachine(const RuleAutomata& automata, const GrammarLimits& limits, std::span<const StateId> merged = {});

  // At the beginning of a text.
  ConfigId root();
  // At a state, with unknown surroundings.
  ConfigId at_state(StateId state);
  // Where the callers that a node stands for go on. Requires a node that is neither the root nor the bottom.
  ConfigId after(NodeId node);

  // One byte further; kDead or kOverLimit when there is no such configuration. Requires a real one.
  ConfigId next(ConfigId config, std::uint8_t byte) {
    const std::int32_t row = configs_[static_cast<std::size_t>(config)].row;
    if (row >= 0) {
      const ConfigId known = rows_[static_cast<std::size_t>(row)][byte];
      if (known != kNotMade) return known;
    }
    return make_next(config, byte);
  }

  // Whether the text may end here; whether the state of at_state() may have been left here.
  bool ends(ConfigId config) const { return at(config).ends; }
  bool leaves(ConfigId config) const { return at(config).leaves; }
  // The places without those that follow from calls. The span holds until the next call that makes something.
  std::span<const Place> kernel(ConfigId config) const {
    return std::span(places_).subspan(at(config).begin, at(config).num_kernel);
  }
  // The only byte that a text may go on with, or -1 when there are none or several.
  int only_byte(ConfigId config) const;

  // The configuration of another machine over the same automata. `nodes` belongs to the pair of machines: what was
  // imported before; it begins empty.
  ConfigId import(const StackMachine& other, ConfigId config, std::vector<NodeId>& nodes);

  // Work done since the budget was set; next() gives kOverLimit beyond it.
  void set_work_budget(std::int64_t budget) { work_left_ = budget; }
  void spend(std::int64_t work) { work_left_ -= work; }
  bool over_budget() const { return work_left_ < 0; }

  std::size_t bytes() const;
  std::size_t num_configs() const { return configs_.size(); }
  const RuleAutomata& automata() const { return automata_; }

 private:
  struct Config {
    std::size_t begin = 0;  // of its places
    std::uint32_t num_kernel = 0;
    std::uint32_t num_places = 0;
    std::int32_t row = -1;
    bool ends = false;
    bool leaves = false;
  };
  struct Node {
    std::size_t begin = 0;  // of its returns
    std::uint32_t num_returns = 0;
    ConfigId after = kNotMade;
  };
  struct Call {
    std::int32_t rank;
    RuleId rule;
    Place back;
  };
  using Row = std::array<ConfigId, 256>;

  const Config& at(ConfigId id) const { return configs_[static_cast<std::size_t>(id)]; }
  std::span<const Place> returns_of(NodeId node) const {
    const Node& n = nodes_[static_cast<std::size_t>(node)];
    return std::span(returns_).subspan(n.begin, n.num_returns);
  }
  ConfigId make_next(ConfigId config, std::uint8_t byte);
  // Of the places in reached_, which are used up.
  ConfigId make_config();
  bool complete_places();
  bool add_called_places(std::size_t begin);
  void add_calls(Place place);
  NodeId node_of(std::span<const Place> returns);
  void import_node(const StackMachine& other, NodeId node, std::vector<NodeId>& nodes);
  std::vector<Place> translate(std::span<const Place> places, const std::vector<NodeId>& nodes) const;
  StateId merged(StateId state) const { return merged_.empty() ? state : merged_[static_cast<std::size_t>(state)]; }

  const RuleAutomata& automata_;
  std::span<const StateId> merged_;
  std::size_t max_places_;
  std::int64_t work_left_;
  std::vector<Config> configs_;
  std::vector<Place> places_;
  std::vector<Node> nodes_;
  std::vector<Place> returns_;
  std::deque<Row> rows_;  // growing moves none
  InternIndex config_index_;
  InternIndex node_index_;
  std::unordered_map<StateId, ConfigId> state_configs_;
  ConfigId root_ = kNotMade;

  // What making one configuration works with.
  std::vector<Place> reached_;
  std::vector<Place> kernel_;
  std::vector<Call> calls_;
  std::vector<Place> backs_;
  bool ends_ = false;
  bool leaves_ = false;
};

}  // namespace mlxr::grammar
