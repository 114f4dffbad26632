#pragma once
// Follows one sequence through a grammar: says which tokens may come next and takes the one that came.
//
// Belongs to the engine's thread, like all matchers of the same Grammar. Copies are independent and cost little.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/runtime/grammar/grammar.h"
#include "core/runtime/grammar/stack_machine.h"
#include "core/runtime/grammar/token_trie.h"

namespace mlxr {

class GrammarMatcher {
 public:
  GrammarMatcher(std::shared_ptr<const Grammar> grammar, std::shared_ptr<const TokenTrie> trie);
  GrammarMatcher(const GrammarMatcher&) = default;
  GrammarMatcher& operator=(const GrammarMatcher&) = default;
  GrammarMatcher(GrammarMatcher&&) noexcept = default;
  GrammarMatcher& operator=(GrammarMatcher&&) noexcept = default;
  ~GrammarMatcher() = default;

  // Bit i % 64 of word i / 64 says whether token i may come next; [trie.mask_words()]. Tokens that end the generation
  // are set where the text may end, and nothing else is once it has ended. The span holds until this matcher's next
  // call that is not const. No bits at all when status() is not ok.
  std::span<const std::uint64_t> mask();

  // Takes a token. false: it may not come here, and nothing has changed.
  bool accept(TokenId token);
  // How many of the tokens may come, one after the other, from here on. Changes nothing.
  std::size_t would_accept(std::span<const TokenId> tokens);
  // Takes back the last tokens. Requires 0 <= num_tokens <= num_tokens that were accepted, kMaxRollback at most.
  void rollback(std::int64_t num_tokens);
  static constexpr std::int64_t kMaxRollback = 1024;

  // The same place for another sequence (n > 1).
  std::unique_ptr<GrammarMatcher> fork() const { return std::make_unique<GrammarMatcher>(*this); }

  // The bytes that every continuation begins with, kMaxForcedBytes at most. Empty where the text may end.
  std::string forced_bytes();
  static constexpr std::size_t kMaxForcedBytes = 4096;
  // Tokens that may be appended without asking the model: the tokenizer's own encoding of the forced bytes, without the
  // tokens at its end that what follows might have joined. Accepts nothing. `tokenizer` is the one of the vocabulary.
  std::vector<TokenId> forced_tokens(const Tokenizer& tokenizer);

  bool may_end() const;                  // the text so far is in the grammar
  bool ended() const { return ended_; }  // an end-of-generation token was accepted

  // Not ok once the grammar was too ambiguous for its limits here: the request has to fail with this message.
  const Status& status() const { return status_; }

 private:
  struct Step {
    grammar::ConfigId config;
    bool ended;
  };

  grammar::MaskEngine& engine();
  void migrate(std::shared_ptr<grammar::MaskEngine> to);
  // Where the token leads from `config`; kDead when it may not come.
  grammar::ConfigId follow(grammar::ConfigId config, TokenId token);
  void fail();

  std::shared_ptr<const Grammar> grammar_;
  std::shared_ptr<const TokenTrie> trie_;
  std::shared_ptr<grammar::MaskEngine> engine_;  // what config_ and history_ belong to
  grammar::ConfigId config_;
  std::vector<Step> history_;  // before each of the last tokens
  std::int64_t rollback_limit_ = 0;
  bool ended_ = false;
  Status status_;
  std::vector<std::uint64_t> mask_;  // [mask_words]
  std::vector<TokenId> listed_;      // the bits that are set in mask_
};

}  // namespace mlxr
