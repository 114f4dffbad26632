#include "core/runtime/grammar/merged_states.h"

#include <algorithm>

#include "core/runtime/grammar/intern_index.h"

namespace mlxr::grammar {
namespace {

using Class = std::int32_t;

// Past so many edges looked at, states stand for themselves: always right, only slower.
constexpr std::size_t kMaxEdges = 20'000'000;

class StateRefinement {
 public:
  explicit StateRefinement(std::span<const AutomatonState> states)
      : states_(states), classes_(states.size()), sources_begin_(states.size() + 1), marks_(states.size()) {
    sizes_.assign(2, 0);
    for (std::size_t i = 0; i < states.size(); ++i) {
      classes_[i] = states[i].accepting ? 1 : 0;
      ++sizes_[static_cast<std::size_t>(classes_[i])];
      affected_.push_back(static_cast<StateId>(i));
    }
    collect_sources();
  }

  bool over_limit() const { return num_edges_ > kMaxEdges; }
  bool stable() const { return affected_.empty(); }

  // Tells apart what one more transition tells apart.
  void round() {
    split();
    for (const auto& [state, to] : moves_) {
      --sizes_[static_cast<std::size_t>(class_of(state))];
      ++sizes_[static_cast<std::size_t>(to)];
      classes_[static_cast<std::size_t>(state)] = to;
    }
    ++mark_;
    affected_.clear();
    for (const auto& [state, to] : moves_) {
      const auto s = static_cast<std::size_t>(state);
      for (std::size_t i = sources_begin_[s]; i < sources_begin_[s + 1]; ++i) {
        const StateId source = sources_[i];
        if (marks_[static_cast<std::size_t>(source)] == mark_) continue;
        marks_[static_cast<std::size_t>(source)] = mark_;
        affected_.push_back(source);
      }
    }
  }

  std::vector<StateId> representatives() const {
    std::vector<StateId> first(sizes_.size(), -1);
    std::vector<StateId> out(states_.size());
    bool any = false;
    for (std::size_t i = 0; i < out.size(); ++i) {
      StateId& stands = first[static_cast<std::size_t>(classes_[i])];
      if (stands < 0) stands = static_cast<StateId>(i);
      out[i] = stands;
      any = any || stands != static_cast<StateId>(i);
    }
    if (!any) out.clear();
    return out;
  }

 private:
  struct Group {  // affected states of one class that look the same
    StateId first;
    std::size_t signature;  // into signatures_
    std::size_t length;
    std::size_t num_states;
    Class id;
  };

  Class class_of(StateId state) const { return classes_[static_cast<std::size_t>(state)]; }

  template <class Visit>
  void for_each_target(Visit visit) const {
    for (std::size_t i = 0; i < states_.size(); ++i) {
      for (const ByteEdge& edge : states_[i].bytes)
        visit(static_cast<StateId>(i), static_cast<std::size_t>(edge.target));
      for (const CallEdge& edge : states_[i].calls)
        visit(static_cast<StateId>(i), static_cast<std::size_t>(edge.target));
    }
  }

  void collect_sources() {
    for_each_target([&](StateId, std::size_t target) { ++sources_begin_[target + 1]; });
    for (std::size_t i = 1; i < sources_begin_.size(); ++i)
      sources_begin_[i] += sources_begin_[i - 1];
    sources_.resize(sources_begin_.back());
    std::vector<std::size_t> next(sources_begin_.begin(), sources_begin_.end() - 1);
    for_each_target([&](StateId source, std::size_t target) { sources_[next[target]++] = source; });
  }

  // Appends what the state looks like to signatures_.
  void add_signature(StateId id) {
    const AutomatonState& state = states_[static_cast<std::size_t>(id)];
    num_edges_ += state.bytes.size() + state.calls.size() + 1;
    const std::size_t begin = signatures_.size();
    signatures_.push_back(class_of(id));
    int high = -2;
    for (const ByteEdge& edge : state.bytes) {
      const Class target = class_of(edge.target);
      if (signatures_.size() > begin + 1 && high + 1 == edge.low && signatures_.back() == target)
        signatures_[signatures_.size() - 2] = edge.high;
      else
        signatures_.insert(signatures_.end(), {edge.low, edge.high, target});
      high = edge.high;
    }
    signatures_.push_back(-1);
    for (const CallEdge& edge : state.calls)
      signatures_.insert(signatures_.end(), {edge.rule, class_of(edge.target)});
  }

  // From affected_ to moves_. The states of a class that are not affected keep its number, or else its largest group:
  // whatever leads to those need not be looked at again.
  void split() {
    signatures_.clear();
    groups_.clear();
    std::vector<std::int32_t> group_of;
    InternIndex index;
    num_affected_.resize(sizes_.size());
    keeps_.resize(sizes_.size(), -1);
    for (const StateId state : affected_) {
      ++num_affected_[static_cast<std::size_t>(class_of(state))];
      const std::size_t begin = signatures_.size();
      add_signature(state);
      const std::size_t length = signatures_.size() - begin;
      std::uint64_t hash = length;
      for (std::size_t i = begin; i < signatures_.size(); ++i)
        hash = mix_hash(hash ^ static_cast<std::uint32_t>(signatures_[i]));
      std::int32_t group = index.find(hash, [&](std::int32_t number) {
        const Group& known = groups_[static_cast<std::size_t>(number)];
        const auto at = [&](std::size_t place) { return signatures_.begin() + static_cast<std::ptrdiff_t>(place); };
        return known.length == length && std::equal(at(begin), at(begin + length), at(known.signature));
      });
      if (group < 0) {
        group = static_cast<std::int32_t>(groups_.size());
        groups_.push_back({state, begin, length, 0, -1});
        index.add(hash, group);
      } else {
        signatures_.resize(begin);
      }
      ++groups_[static_cast<std::size_t>(group)].num_states;
      group_of.push_back(group);
    }
    number_groups();
    moves_.clear();
    for (std::size_t i = 0; i < affected_.size(); ++i) {
      const Class to = groups_[static_cast<std::size_t>(group_of[i])].id;
      if (to != class_of(affected_[i])) moves_.emplace_back(affected_[i], to);
    }
  }

  void number_groups() {
    const auto keeper = [&](const Group& group) -> std::int32_t& {
      return keeps_[static_cast<std::size_t>(class_of(group.first))];
    };
    for (std::size_t i = 0; i < groups_.size(); ++i) {
      const auto old = static_cast<std::size_t>(class_of(groups_[i].first));
      if (num_affected_[old] < sizes_[old]) continue;
      std::int32_t& keeps = keeper(groups_[i]);
      if (keeps < 0 || groups_[static_cast<std::size_t>(keeps)].num_states < groups_[i].num_states)
        keeps = static_cast<std::int32_t>(i);
    }
    for (std::size_t i = 0; i < groups_.size(); ++i) {
      const bool kept = keeper(groups_[i]) == static_cast<std::int32_t>(i);
      groups_[i].id = kept ? class_of(groups_[i].first) : static_cast<Class>(sizes_.size());
      if (!kept) sizes_.push_back(0);
    }
    // Rounds may be as many as classes: each costs what is affected in it.
    for (const Group& group : groups_) {
      num_affected_[static_cast<std::size_t>(class_of(group.first))] = 0;
      keeper(group) = -1;
    }
  }

  std::span<const AutomatonState> states_;
  std::vector<Class> classes_;              // by state
  std::vector<std::size_t> sizes_;          // by class
  std::vector<std::size_t> sources_begin_;  // by state: where those that lead to it begin in sources_
  std::vector<StateId> sources_;
  std::vector<StateId> affected_;  // what may have to leave its class
  std::vector<std::uint32_t> marks_;
  std::uint32_t mark_ = 0;
  std::vector<std::pair<StateId, Class>> moves_;
  std::vector<std::int32_t> signatures_;
  std::vector<Group> groups_;
  std::vector<std::size_t> num_affected_;  // by class, in a round
  std::vector<std::int32_t> keeps_;        // by class: the group that keeps its number
  std::size_t num_edges_ = 0;
};

}  // namespace

MergedStates merge_states(std::span<const AutomatonState> states, std::span<const int> depths) {
  MergedStates out;
  out.maps.resize(depths.size());
  StateRefinement refinement(states);
  for (std::size_t i = 0; i < depths.size(); ++i) {
    for (; out.rounds < depths[i] && !refinement.stable() && !refinement.over_limit(); ++out.rounds)
      refinement.round();
    if (refinement.over_limit()) break;
    out.maps[i] = refinement.representatives();
  }
  return out;
}

}  // namespace mlxr::grammar
