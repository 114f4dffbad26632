#pragma once
// Which tokens may follow at a configuration of a grammar. One engine serves all matchers of a grammar and a
// vocabulary; what it finds out it keeps.
//
// The vocabulary is sliced by length (token_trie.h). For a slice the automata count as far as its tokens reach and no
// further: it is looked at with a machine whose states stand for all that no text of that length tells apart
// (RuleAutomata::merged). So all places within a long string that has a maximal length, but for its last bytes, are one
// configuration with one mask. A mask is the union of those of the slices, and unions are shared too.
//
// Not thread-safe: the engine thread's.

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "core/runtime/grammar/intern_index.h"
#include "core/runtime/grammar/limits.h"
#include "core/runtime/grammar/slice_masks.h"
#include "core/runtime/grammar/stack_machine.h"
#include "core/runtime/grammar/token_trie.h"

namespace mlxr::grammar {

class MaskEngine {
 public:
  // The automata must outlive the engine.
  MaskEngine(const RuleAutomata& automata, std::shared_ptr<const TokenTrie> trie, const GrammarLimits& limits);

  StackMachine& machine() { return machine_; }
  const StackMachine& machine() const { return machine_; }
  const TokenTrie& trie() const { return *trie_; }

  // The tokens that may follow, end-of-generation ones where the text may end. nullptr: over the work limit. Lives as
  // long as the engine.
  const TokenSet* mask(ConfigId config);

  std::size_t bytes() const;

 private:
  // Slices that are looked at with the same machine.
  struct Level {
    std::unique_ptr<StackMachine> merged;  // nullptr: machine_
    std::vector<NodeId> nodes;             // of machine_, by id: the node here
    std::vector<ConfigId> configs;         // of machine_, by id: the configuration here
    std::unique_ptr<SliceMasks> masks;
  };
  struct Union {
    std::vector<const TokenSet*> parts;
    bool ends;
    TokenSet set;
  };

  void add_level(const GrammarLimits& limits, std::span<const StateId> merged, std::size_t first, std::size_t last);
  // The configuration of the level for one of machine_.
  ConfigId config_of(Level& level, ConfigId config);
  const TokenSet* union_of(bool ends);  // of parts_

  StackMachine machine_;
  std::shared_ptr<const TokenTrie> trie_;
  std::int64_t max_work_;
  std::vector<Level> levels_;
  std::vector<const TokenSet*> masks_;  // by configuration
  std::deque<Union> unions_;
  InternIndex union_index_;
  std::size_t union_bytes_ = 0;
  std::vector<const TokenSet*> parts_;
};

}  // namespace mlxr::grammar
