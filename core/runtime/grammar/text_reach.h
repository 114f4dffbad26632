#pragma once
// How far plain text (token_trie.h) is allowed at configurations of a stack machine, so that whole sets and subtrees of
// tokens are decided without looking at each. What is found out is kept. The machine must outlive it.

#include <unordered_map>
#include <vector>

#include "core/runtime/grammar/byte_trie.h"
#include "core/runtime/grammar/stack_machine.h"

namespace mlxr::grammar {

// All plain text of up to `all` characters may follow; with `none_longer`, nothing that begins with more.
struct TextReach {
  int all = 0;
  bool none_longer = false;
};

class TextReaches {
 public:
  explicit TextReaches(StackMachine& machine) : machine_(machine) {}

  // `all` is kAnyLength, or at most kMaxReach.
  TextReach reach(ConfigId config);
  static constexpr int kMaxReach = 16;

  // The bytes that lead from the configuration back to it; `wide` says that all characters of plain text that are not
  // ASCII do. The answer holds until the next call.
  const ByteSet& loops(ConfigId config);

  // Whether a step was over the machine's limits: then answers do not count. take_over_limit() also forgets them.
  bool over_limit() const { return over_limit_; }
  bool take_over_limit();

  std::size_t bytes() const;

 private:
  // Where a configuration is after any character of plain text, or after any that is not ASCII.
  struct TextStep {
    enum Kind : std::uint8_t { kAll, kNone, kSome } kind = kSome;  // of the characters are allowed
    std::vector<ConfigId> next;                                    // with kAll
  };

  TextReach find_reach(ConfigId config);
  const TextStep& any_step(ConfigId config);
  const TextStep& wide_step(ConfigId config);
  TextStep find_any_step(ConfigId config);
  TextStep find_wide_step(ConfigId config);
  void step_range(ConfigId config, int low, int high, std::vector<ConfigId>& out, bool& any_dead);

  StackMachine& machine_;
  std::unordered_map<ConfigId, TextReach> reaches_;
  std::unordered_map<ConfigId, TextStep> any_steps_;
  std::unordered_map<ConfigId, TextStep> wide_steps_;
  std::unordered_map<ConfigId, ByteSet> loops_;
  std::size_t step_bytes_ = 0;
  bool over_limit_ = false;
};

}  // namespace mlxr::grammar
