#pragma once
// A constraint on what a model may write: compiled once, then shared by any number of requests.
//
// Front ends: GBNF (gbnf.h says which dialect), regular expressions (regex_syntax.h), a list of choices, JSON Schema
// (docs/grammar.md lists the keywords), and tagged text (tagged_text.h). All read hostile text: an error is
// kInvalidArgument or kUnsupported with one line that says where, or kResourceExhausted past a limit; never a crash or
// a hang.
//
// Making a Grammar is thread-safe. All matchers of one Grammar share states and masks that are found as texts reach
// them, without locks: they belong to one thread, the engine's.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/runtime/grammar/limits.h"
#include "core/runtime/grammar/rule_automata.h"
#include "core/runtime/grammar/rules.h"
#include "core/runtime/grammar/token_trie.h"

namespace mlxr {

namespace grammar {
class MaskEngine;
}

enum class JsonWhitespace : std::uint8_t {
  kCompact,   // none at all
  kFlexible,  // after { [ , : and before } ]: nothing, a space, or one or two line breaks and up to 20 spaces or tabs
};

struct GrammarOptions {
  GrammarLimits limits;
  JsonWhitespace whitespace = JsonWhitespace::kFlexible;
  // Looks up the token `<name>` of a GBNF grammar. Without it such a name is an error.
  const Tokenizer* tokenizer = nullptr;
};

class Grammar {
 public:
  // A grammar in llama.cpp's notation; its rule `root` is what a text must match.
  static Result<std::shared_ptr<const Grammar>> from_gbnf(std::string_view source, const GrammarOptions& options = {});
  // A regular expression that the whole text must match.
  static Result<std::shared_ptr<const Grammar>> from_regex(std::string_view source, const GrammarOptions& options = {});
  // One of the texts, at least one of them.
  static Result<std::shared_ptr<const Grammar>> from_choices(std::span<const std::string> choices,
                                                             const GrammarOptions& options = {});
  static Result<std::shared_ptr<const Grammar>> from_json_schema(std::string_view schema,
                                                                 const GrammarOptions& options = {});
  // Any JSON object (response_format json_object).
  static Result<std::shared_ptr<const Grammar>> any_json_object(const GrammarOptions& options = {});
  // Matches the rules' root. The front ends end here.
  static Result<std::shared_ptr<const Grammar>> from_rules(grammar::Rules rules,
                                                           std::vector<std::string> warnings = {});

  // What of the source is not enforced to the letter; for the answer's warnings.
  const std::vector<std::string>& warnings() const { return warnings_; }
  const grammar::Rules& rules() const { return rules_; }
  const grammar::RuleAutomata& automata() const { return automata_; }

  // The shared states for a vocabulary; new ones when the last have grown past limits.cache_bytes. The engine's thread.
  std::shared_ptr<grammar::MaskEngine> engine(const std::shared_ptr<const TokenTrie>& trie) const;

  Grammar(grammar::Rules rules, grammar::RuleAutomata automata, std::vector<std::string> warnings);
  ~Grammar();
  Grammar(const Grammar&) = delete;
  Grammar& operator=(const Grammar&) = delete;

 private:
  grammar::Rules rules_;
  grammar::RuleAutomata automata_;
  std::vector<std::string> warnings_;
  mutable std::vector<std::shared_ptr<grammar::MaskEngine>> engines_;  // one a vocabulary
};

}  // namespace mlxr
