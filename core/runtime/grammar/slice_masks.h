#pragma once
// Which tokens of some slices of the vocabulary may follow at a configuration of a stack machine.
//
// Plain text (token_trie.h) is decided by length where all text is allowed up to some length, as in strings. The other
// tokens are walked. What a token may do inside the rule that a place is in depends on the state alone; only how it
// goes on behind the rule's end depends on the callers. So for each state there is one walk: its result is a set of
// tokens, and the places in the trie where the rule may end and tokens go on. The mask of a configuration is the sets
// of its states, and the subtrees at those places walked from where the callers go on. (XGrammar splits the vocabulary
// so in advance; here a state pays when it is first reached.) A walk passes over a subtree as a whole where all its
// bytes lead back to the same configuration, as in free text, or where text of its height is allowed.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/runtime/grammar/stack_machine.h"
#include "core/runtime/grammar/text_reach.h"
#include "core/runtime/grammar/token_trie.h"

namespace mlxr::grammar {

// A few tokens are a list, many are bits.
struct TokenSet {
  std::vector<TokenId> list;
  std::vector<std::uint64_t> bits;  // [mask_words]; empty: the list counts

  bool empty() const { return list.empty() && bits.empty(); }
  std::size_t bytes() const { return list.size() * sizeof(TokenId) + bits.size() * sizeof(std::uint64_t); }
};

// Tokens that are being collected: as a list while they are few, so that few cost little.
class TokenBits {
 public:
  explicit TokenBits(std::size_t words) : words_(words) {}

  void clear();
  void add(TokenId token) {
    words_[static_cast<std::size_t>(token) / 64] |= std::uint64_t{1} << (static_cast<unsigned>(token) % 64);
    if (!many_) {
      listed_.push_back(token);
      many_ = listed_.size() > kMaxListed;
    }
  }
  void add(const TokenSet& set);
  void add(std::span<const std::uint64_t> words);
  // All of `words` but the tokens of the list.
  void add_but(std::span<const std::uint64_t> words, std::span<const TokenId> but);
  TokenSet set() const;

 private:
  static constexpr std::size_t kMaxListed = 512;

  std::vector<std::uint64_t> words_;
  std::vector<TokenId> listed_;  // what was added, unless many_
  bool many_ = false;
  std::vector<std::uint64_t> scratch_;
};

class SliceMasks {
 public:
  // For slices [first, last) of the vocabulary. The machine and the trie must outlive it.
  SliceMasks(StackMachine& machine, const TokenTrie& trie, std::size_t first, std::size_t last);

  // nullptr: over the machine's work budget. Lives as long as this.
  const TokenSet* mask(ConfigId config);

  std::size_t bytes() const { return mask_bytes_ + reaches_.bytes(); }

 private:
  using Nodes = std::vector<std::uint32_t>;  // of a trie
  struct StateMask {
    TokenSet inside;
    Nodes escapes;  // tokens go on below them, and have left the rule there
  };
  struct Part {  // of a slice: its text, or what is mixed
    const ByteTrie* trie;
    std::span<const std::uint64_t> all;  // its tokens
    bool is_text;
    std::vector<std::unique_ptr<StateMask>> state_masks;  // by state
  };

  // These add what may follow to bits_; false when over the limit.
  bool add_text(std::size_t slice, ConfigId config);
  bool compose(Part& part, ConfigId config);
  // Below a node of the trie, where `config` is. `escapes` gets the nodes where the rule of at_state() may end and
  // tokens go on.
  bool walk(const Part& part, std::uint32_t root, ConfigId config, Nodes* escapes);
  bool all_below(const Part& part, std::uint32_t node, ConfigId config);
  void allow(std::uint32_t begin, std::uint32_t end);
  void add_allowed(const Part& part, bool whole_trie);
  const StateMask* state_mask(Part& part, StateId state);

  StackMachine& machine_;
  const TokenTrie& trie_;
  std::size_t first_;
  std::vector<Part> parts_;  // two a slice: text, then mixed
  TextReaches reaches_;
  std::vector<std::unique_ptr<TokenSet>> masks_;  // by configuration
  std::size_t mask_bytes_ = 0;
  TokenBits bits_;
  TokenBits other_bits_;
  std::vector<ConfigId> path_;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> allowed_;  // what a walk allows, ranges of the trie's tokens
  std::vector<TokenId> refused_;
};

}  // namespace mlxr::grammar
