#include "core/runtime/grammar/grammar.h"

#include <fmt/core.h>

#include "core/base/utf8.h"
#include "core/runtime/grammar/char_automaton.h"
#include "core/runtime/grammar/gbnf.h"
#include "core/runtime/grammar/json_schema.h"
#include "core/runtime/grammar/json_text.h"
#include "core/runtime/grammar/mask_engine.h"
#include "core/runtime/grammar/regex_syntax.h"

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

Result<std::shared_ptr<const Grammar>> Grammar::from_regex(std::string_view source, const GrammarOptions& options) {
  grammar::Rules rules(options.limits);
  MLXR_ASSIGN_OR_RETURN(grammar::RegexExpression parsed, grammar::parse_regex(rules, source));
  if (parsed.has_anchors) {
    const auto automaton = grammar::CharAutomaton::of_expression(rules, parsed.expression, false);
    if (!automaton.has_value()) return resource_exhausted("regular expression: it needs too many states");
    parsed.expression =
        grammar::automaton_graph(rules, *automaton, [&](const grammar::CharSet& set) { return rules.chars(set); });
  }
  const grammar::RuleId root = rules.add_rule("root");
  rules.define(root, parsed.expression);
  rules.set_root(root);
  return from_rules(std::move(rules));
}

Result<std::shared_ptr<const Grammar>> Grammar::from_choices(std::span<const std::string> choices,
                                                             const GrammarOptions& options) {
  if (choices.empty()) return invalid_argument("choices: there are none");
  grammar::Rules rules(options.limits);
  std::vector<grammar::ExpressionId> parts;
  std::size_t bytes = 0;
  for (const std::string& choice : choices) {
    bytes += choice.size();
    if (!is_valid_utf8(choice))
      return invalid_argument(fmt::format("choices: number {} is not UTF-8", parts.size() + 1));
    parts.push_back(rules.literal(choice));
  }
  if (bytes > options.limits.max_source_bytes)
    return resource_exhausted(
        fmt::format("choices: {} bytes, the limit is {}", bytes, options.limits.max_source_bytes));
  const grammar::RuleId root = rules.add_rule("root");
  rules.define(root, rules.choice(std::move(parts)));
  rules.set_root(root);
  return from_rules(std::move(rules));
}

Result<std::shared_ptr<const Grammar>> Grammar::from_json_schema(std::string_view schema,
                                                                 const GrammarOptions& options) {
  MLXR_ASSIGN_OR_RETURN(grammar::SchemaRules parsed, grammar::parse_json_schema(schema, options));
  Result<std::shared_ptr<const Grammar>> made = from_rules(std::move(parsed.rules), std::move(parsed.warnings));
  if (!made.ok()) return made.status().with_context("schema");
  return made;
}

Result<std::shared_ptr<const Grammar>> Grammar::any_json_object(const GrammarOptions& options) {
  return from_json_schema(R"({"type": "object"})", options);
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
