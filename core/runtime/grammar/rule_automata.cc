#include "core/runtime/grammar/rule_automata.h"

#include <algorithm>
#include <bit>
#include <bitset>
#include <optional>

#include <fmt/core.h>

#include "core/runtime/grammar/determinize.h"
#include "core/runtime/grammar/merged_states.h"
#include "core/runtime/grammar/strong_components.h"

namespace mlxr::grammar {

class AutomataCompiler {
 public:
  explicit AutomataCompiler(const Rules& rules) : rules_(rules), max_states_(rules.limits().max_states) {}

  Result<RuleAutomata> run() {
    MLXR_RETURN_IF_ERROR(rules_.status());
    MLXR_RETURN_IF_ERROR(build());
    find_empty();
    find_productive();
    if (!productive_[top_] && !empty_[top_]) return invalid_argument("the grammar matches no text");
    replace_calls();
    MLXR_RETURN_IF_ERROR(merge_rules_into_callers());
    for (const std::size_t rule : live_rules())
      normalize_start(nfas_[rule]);
    MLXR_RETURN_IF_ERROR(remove_left_recursion());
    return assemble();
  }

 private:
  RuleNfa& nfa(RuleId rule) { return nfas_[static_cast<std::size_t>(rule)]; }

  // The automata of all rules that the root needs, and of one more rule that calls the root.
  Status build() {
    top_ = rules_.num_rules();
    nfas_.resize(top_ + 1);
    std::vector<bool> seen(top_);
    std::vector<RuleId> queue{rules_.root()};
    seen[static_cast<std::size_t>(rules_.root())] = true;
    for (std::size_t i = 0; i < queue.size(); ++i) {
      MLXR_ASSIGN_OR_RETURN(nfa(queue[i]), build_rule_nfa(rules_, rules_.body(queue[i]), num_states_, max_states_));
      for (const NfaState& state : nfa(queue[i]).states) {
        for (const CallEdge& call : state.calls) {
          if (seen[static_cast<std::size_t>(call.rule)]) continue;
          seen[static_cast<std::size_t>(call.rule)] = true;
          queue.push_back(call.rule);
        }
      }
    }
    nfas_[top_].states.resize(2);
    nfas_[top_].states[0].calls.push_back({rules_.root(), RuleNfa::kFinal});
    return {};
  }

  // Repeats `decide(rule)` for the callers of whatever became true, until nothing does.
  template <class Decide>
  std::vector<bool> least_fixpoint(Decide decide) {
    std::vector<std::vector<std::size_t>> callers(nfas_.size());
    std::vector<std::size_t> queue;
    for (std::size_t rule = 0; rule < nfas_.size(); ++rule) {
      if (nfas_[rule].states.empty()) continue;
      queue.push_back(rule);
      for (const NfaState& state : nfas_[rule].states)
        for (const CallEdge& call : state.calls)
          callers[static_cast<std::size_t>(call.rule)].push_back(rule);
    }
    for (auto& list : callers) {
      std::sort(list.begin(), list.end());
      list.erase(std::unique(list.begin(), list.end()), list.end());
    }
    std::vector<bool> holds(nfas_.size());
    // Callees tend to come after their callers.
    while (!queue.empty()) {
      const std::size_t rule = queue.back();
      queue.pop_back();
      if (holds[rule] || !decide(nfas_[rule], holds)) continue;
      holds[rule] = true;
      queue.insert(queue.end(), callers[rule].begin(), callers[rule].end());
    }
    return holds;
  }

  // Which rules match the empty text.
  void find_empty() {
    empty_ = least_fixpoint([](const RuleNfa& nfa, const std::vector<bool>& empty) {
      std::vector<bool> seen(nfa.states.size());
      std::vector<StateId> stack{RuleNfa::kStart};
      const auto visit = [&](StateId id) {
        if (seen[static_cast<std::size_t>(id)]) return;
        seen[static_cast<std::size_t>(id)] = true;
        stack.push_back(id);
      };
      while (!stack.empty()) {
        const NfaState& state = nfa.at(stack.back());
        stack.pop_back();
        for (const StateId target : state.empties)
          visit(target);
        for (const CallEdge& call : state.calls)
          if (empty[static_cast<std::size_t>(call.rule)]) visit(call.target);
      }
      return static_cast<bool>(seen[RuleNfa::kFinal]);
    });
  }

  // Which rules match some text that is not empty.
  void find_productive() {
    productive_ = least_fixpoint([this](const RuleNfa& nfa, const std::vector<bool>& productive) {
      std::vector<bool> seen(2 * nfa.states.size());  // twice a state: before and after something was read
      std::vector<std::size_t> stack{0};
      const auto visit = [&](StateId id, std::size_t read) {
        const std::size_t place = 2 * static_cast<std::size_t>(id) + read;
        if (seen[place]) return;
        seen[place] = true;
        stack.push_back(place);
      };
      while (!stack.empty()) {
        const std::size_t read = stack.back() % 2;
        const NfaState& state = nfa.states[stack.back() / 2];
        stack.pop_back();
        for (const StateId target : state.empties)
          visit(target, read);
        for (const ByteEdge& edge : state.bytes)
          visit(edge.target, 1);
        for (const CallEdge& call : state.calls) {
          if (empty_[static_cast<std::size_t>(call.rule)]) visit(call.target, read);
          if (productive[static_cast<std::size_t>(call.rule)]) visit(call.target, 1);
        }
      }
      return static_cast<bool>(seen[2 * RuleNfa::kFinal + 1]);
    });
  }

  // From here on a call means a text that is not empty.
  void replace_calls() {
    for (RuleNfa& automaton : nfas_) {
      for (NfaState& state : automaton.states) {
        for (const CallEdge& call : state.calls)
          if (empty_[static_cast<std::size_t>(call.rule)]) state.empties.push_back(call.target);
        std::erase_if(state.calls,
                      [&](const CallEdge& call) { return !productive_[static_cast<std::size_t>(call.rule)]; });
      }
    }
  }

  static constexpr std::size_t kMaxMergedStates = 20'000;  // of all copies of a rule together

  static bool is_narrow(const RuleNfa& automaton) {
    constexpr std::size_t kFewStates = 40;
    constexpr std::size_t kFewBytes = 32;
    if (automaton.states.size() > kFewStates) return false;
    std::bitset<256> bytes;
    for (const NfaState& state : automaton.states)
      for (const ByteEdge& edge : state.bytes)
        for (int byte = edge.low; byte <= edge.high; ++byte)
          bytes.set(static_cast<std::size_t>(byte));
    return bytes.count() <= kFewBytes;
  }

  Status merge_rules_into_callers() {
    const auto calls_of = [this](std::size_t rule, auto visit) {
      for (const NfaState& state : nfas_[rule].states)
        for (const CallEdge& call : state.calls)
          visit(static_cast<std::size_t>(call.rule));
    };
    const StrongComponents components = strong_components(nfas_.size(), calls_of);
    std::vector<std::size_t> num_calls(nfas_.size());
    for (std::size_t rule = 0; rule < nfas_.size(); ++rule)
      calls_of(rule, [&](std::size_t callee) { ++num_calls[callee]; });
    std::vector<bool> merged(nfas_.size());
    for (const std::size_t rule : components.order) {  // callees first
      if (nfas_[rule].states.empty()) continue;
      RuleNfa& automaton = nfas_[rule];
      for (std::size_t i = 0; i < automaton.states.size(); ++i) {
        std::vector<CallEdge> calls;
        calls.swap(automaton.states[i].calls);
        for (const CallEdge& call : calls) {
          if (!merged[static_cast<std::size_t>(call.rule)]) {
            automaton.states[i].calls.push_back(call);
            continue;
          }
          const RuleNfa& callee = nfa(call.rule);
          num_states_ += callee.states.size();
          if (num_states_ > max_states_) return too_large();
          const StateId base = automaton.append(callee);
          automaton.states[i].empties.push_back(base + RuleNfa::kStart);
          automaton.at(base + RuleNfa::kFinal).empties.push_back(call.target);
        }
      }
      const bool small = is_narrow(automaton) && num_calls[rule] * automaton.states.size() <= kMaxMergedStates;
      merged[rule] = rule != top_ && !components.recursive[rule] && (num_calls[rule] == 1 || small);
    }
    return {};
  }

  // Rules that the top calls, directly or through others.
  std::vector<std::size_t> live_rules() const {
    std::vector<bool> seen(nfas_.size());
    std::vector<std::size_t> queue{top_};
    seen[top_] = true;
    for (std::size_t i = 0; i < queue.size(); ++i) {
      for (const NfaState& state : nfas_[queue[i]].states) {
        for (const CallEdge& call : state.calls) {
          const auto callee = static_cast<std::size_t>(call.rule);
          if (seen[callee]) continue;
          seen[callee] = true;
          queue.push_back(callee);
        }
      }
    }
    return queue;
  }

  // Puts all edges that a rule may begin with on its start.
  static void normalize_start(RuleNfa& automaton) {
    NfaState start;
    for (const StateId member : EmptyClosure(automaton).of(RuleNfa::kStart)) {
      const NfaState& state = automaton.at(member);
      start.bytes.insert(start.bytes.end(), state.bytes.begin(), state.bytes.end());
      start.calls.insert(start.calls.end(), state.calls.begin(), state.calls.end());
    }
    automaton.at(RuleNfa::kStart) = std::move(start);
  }

  // For a group of rules that begin with each other, each gets an automaton that reads from the left corner up: first
  // what any of the group begins with that is not of the group, then, whenever a rule of the group is complete, on
  // after any place that begins with it.
  Status remove_left_recursion() {
    const auto first_calls = [this](std::size_t rule, auto visit) {
      if (nfas_[rule].states.empty()) return;
      for (const CallEdge& call : nfas_[rule].states[RuleNfa::kStart].calls)
        visit(static_cast<std::size_t>(call.rule));
    };
    const StrongComponents components = strong_components(nfas_.size(), first_calls);
    rank_.assign(nfas_.size(), 0);
    std::vector<std::vector<std::size_t>> groups(nfas_.size());
    for (std::size_t i = 0; i < components.order.size(); ++i) {
      const std::size_t rule = components.order[i];
      rank_[rule] = static_cast<std::int32_t>(components.order.size() - i);
      if (components.recursive[rule]) groups[components.component[rule]].push_back(rule);
    }
    for (const auto& group : groups) {
      if (group.empty()) continue;
      std::vector<RuleNfa> replaced;
      for (const std::size_t rule : group) {
        MLXR_ASSIGN_OR_RETURN(RuleNfa automaton, left_corner(rule, group));
        replaced.push_back(std::move(automaton));
      }
      for (std::size_t i = 0; i < group.size(); ++i)
        nfas_[group[i]] = std::move(replaced[i]);
    }
    return {};
  }

  Result<RuleNfa> left_corner(std::size_t rule, const std::vector<std::size_t>& group) {
    RuleNfa out;
    out.states.resize(2);
    std::vector<StateId> base;
    for (const std::size_t member : group) {
      num_states_ += nfas_[member].states.size();
      if (num_states_ > max_states_) return too_large();
      base.push_back(out.append(nfas_[member]));
    }
    const auto place_in_group = [&](RuleId id) -> std::optional<std::size_t> {
      const auto found = std::find(group.begin(), group.end(), static_cast<std::size_t>(id));
      if (found == group.end()) return std::nullopt;
      return static_cast<std::size_t>(found - group.begin());
    };
    for (std::size_t i = 0; i < group.size(); ++i) {
      const NfaState corner = out.at(base[i] + RuleNfa::kStart);
      NfaState& start = out.at(RuleNfa::kStart);
      start.bytes.insert(start.bytes.end(), corner.bytes.begin(), corner.bytes.end());
      for (const CallEdge& call : corner.calls) {
        const std::optional<std::size_t> called = place_in_group(call.rule);
        if (called.has_value())
          out.at(base[*called] + RuleNfa::kFinal).empties.push_back(call.target);
        else
          out.at(RuleNfa::kStart).calls.push_back(call);
      }
      out.at(base[i] + RuleNfa::kStart) = {};
      if (group[i] == rule) out.at(base[i] + RuleNfa::kFinal).empties.push_back(RuleNfa::kFinal);
    }
    return out;
  }

  Result<RuleAutomata> assemble() {
    RuleAutomata out;
    out.rules_.resize(nfas_.size());
    out.matches_empty_ = empty_[top_];
    for (const std::size_t rule : live_rules()) {
      std::vector<AutomatonState> states = determinize(nfas_[rule]);
      const auto base = static_cast<StateId>(out.states_.size());
      if (states.empty()) states.emplace_back();  // only of the top, when it matches nothing but the empty text
      for (AutomatonState& state : states) {
        for (ByteEdge& edge : state.bytes)
          edge.target += base;
        for (CallEdge& edge : state.calls)
          edge.target += base;
        out.states_.push_back(std::move(state));
      }
      out.rules_[rule] = {base, rank_[rule]};
      nfas_[rule] = {};
    }
    MergedStates merged = merge_states(out.states_, kShortTexts);
    out.merged_.resize(std::size(kShortTexts));
    // Without long counts there is little to merge: then one machine does for all tokens, which is less to find out.
    constexpr int kLongCount = 24;
    if (merged.rounds > kLongCount) out.merged_ = std::move(merged.maps);
    return out;
  }

  Status too_large() const {
    return resource_exhausted(fmt::format("the grammar needs more than {} states", max_states_));
  }

  const Rules& rules_;
  std::size_t max_states_;
  std::size_t num_states_ = 0;
  std::size_t top_ = 0;
  std::vector<RuleNfa> nfas_;  // by rule; without states when nothing calls it
  std::vector<bool> empty_;
  std::vector<bool> productive_;
  std::vector<std::int32_t> rank_;
};

Result<RuleAutomata> RuleAutomata::compile(const Rules& rules) {
  return AutomataCompiler(rules).run();
}

}  // namespace mlxr::grammar
