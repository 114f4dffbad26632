#include "core/runtime/grammar/grammar.h"

#include "core/runtime/grammar/gbnf.h"
#include "core/runtime/grammar/mask_engine.h"

namespace mlxr {

Grammar::Grammar(grammar::Rules rules, grammar::RuleAutomata automata, std::vector<std::string> warnings)
    : rules_(std::move(rules)), automata_(std::move(automata)), warnings_(std::move(warnings)) {}

Grammar::~Grammar() = default;

Result<std::shared_ptr<const Grammar>> Grammar::from_rules(grammar::Rules rules, std::vector<std::string> warnings) {
  MLXR_ASSIGN_OR_RETURN(grammar::RuleAutomata automata, grammar::RuleAutomata::compile(rules));
  return std::shared_ptr<const Grammar>(
      std::make_shared<Grammar>(std::move(rules), std::move(automata), std::move(warnings)));
}

Result<std::shared_ptr<const Grammar>> Grammar::from_gbnf(std::string_view source, const GrammarOptions& options) {
  MLXR_ASSIGN_OR_RETURN(grammar::Rules rules, grammar::parse_gbnf(source, options.limits, options.tokenizer));
  return from_rules(std::move(rules));
}

std::shared_ptr<grammar::MaskEngine> Grammar::engine(const std::shared_ptr<const TokenTrie>& trie) const {
  const auto make = [&] { return std::make_shared<grammar::MaskEngine>(automata_, trie, rules_.limits()); };
  for (auto& engine : engines_) {
    if (&engine->trie() != trie.get()) continue;
    if (engine->bytes() > rules_.limits().cache_bytes) engine = make();
    return engine;
  }
  engines_.push_back(make());
  return engines_.back();
}

}  // namespace mlxr
