#pragma once
// Which tokens may follow at a configuration of the stack machine. One engine serves all matchers of a grammar and a
// vocabulary; what it finds out it keeps.
//
// Plain text (token_trie.h) is decided by length where all text is allowed up to some length, as in strings. The other
// tokens are walked. What a token may do inside the rule that a place is in depends on the state alone; only how it
// goes on behind the rule's end depends on the callers. So for each state there is one walk: its result is a set of
// tokens, and the places in the trie where the rule may end and tokens go on. The mask of a configuration is the sets
// of its states, and the subtrees at those places walked from where the callers go on. (XGrammar splits the vocabulary
// so in advance; here a state pays when it is first reached.)
//
// Not thread-safe: the engine thread's.

#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "core/runtime/grammar/limits.h"
#include "core/runtime/grammar/stack_machine.h"
#include "core/runtime/grammar/token_trie.h"

namespace mlxr::grammar {

// A few tokens are a list, many are bits.
struct TokenSet {
  std::vector<TokenId> list;
  std::vector<std::uint64_t> bits;  // [mask_words]; empty: the list counts

  std::size_t bytes() const { return list.size() * sizeof(TokenId) + bits.size() * sizeof(std::uint64_t); }
};

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

  std::size_t bytes() const { return machine_.bytes() + mask_bytes_; }

 private:
  struct Escape {  // the tokens below a node, which have left the rule there
    const ByteTrie* trie;
    std::uint32_t node;
  };
  struct StateMask {
    TokenSet inside;
    std::vector<Escape> escapes;
  };
  // All plain text of up to `all` characters may follow; with `none_longer`, nothing that begins with more.
  struct TextReach {
    int all = 0;
    bool none_longer = false;
  };
  // Where a configuration is after any character of plain text.
  struct TextStep {
    enum Kind : std::uint8_t { kAll, kNone, kSome } kind = kSome;  // of the characters are allowed
    std::vector<ConfigId> next;                                    // with kAll
  };

  // Of the vocabulary: TokenTrie::text(part), or mixed().
  static constexpr std::size_t kMixed = std::size(TokenTrie::kLongerThan);
  const ByteTrie& trie_of(std::size_t part) const { return part == kMixed ? trie_->mixed() : trie_->text(part); }

  // These set the bits of what may follow in bits_; false when over the limit.
  bool compose(ConfigId config, std::size_t part);
  bool walk_escapes(const StateMask& part, ConfigId after);
  // Below a node of the trie, where `config` is.
  bool walk(const ByteTrie& trie, std::uint32_t root, ConfigId config, std::vector<Escape>* escapes);
  const StateMask* state_mask(StateId state, std::size_t part);

  const TextReach& text_reach(ConfigId config);
  TextReach find_text_reach(ConfigId config);
  const TextStep& text_step(ConfigId config);
  TextStep find_text_step(ConfigId config);
  void step_range(ConfigId config, int low, int high, std::vector<ConfigId>& out, bool& any_dead);

  void set_token(TokenId token) {
    bits_[static_cast<std::size_t>(token) / 64] |= std::uint64_t{1} << (static_cast<unsigned>(token) % 64);
  }
  void add_set(const TokenSet& set);
  TokenSet take_bits();

  StackMachine machine_;
  std::shared_ptr<const TokenTrie> trie_;
  GrammarLimits limits_;
  std::size_t mask_bytes_ = 0;
  std::vector<std::unique_ptr<StateMask>> state_masks_[kMixed + 1];  // by part and state
  std::vector<std::unique_ptr<TokenSet>> masks_;                     // by configuration
  std::unordered_map<ConfigId, TextReach> text_reaches_;
  std::unordered_map<ConfigId, TextStep> text_steps_;
  std::vector<std::uint64_t> bits_;
  std::vector<ConfigId> path_;
};

}  // namespace mlxr::grammar
