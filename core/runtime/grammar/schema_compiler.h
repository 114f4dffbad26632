#pragma once
// From shapes to rules: one rule for each set of schemas that hold together at some place.

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/runtime/grammar/char_automaton.h"
#include "core/runtime/grammar/json_text.h"
#include "core/runtime/grammar/rules.h"
#include "core/runtime/grammar/schema_shape.h"

namespace mlxr::grammar {

class SchemaCompiler {
 public:
  SchemaCompiler(const SchemaJson& root, const GrammarOptions& options);

  Status run();
  Rules& rules() { return rules_; }
  std::vector<std::string>& warnings() { return warnings_; }

 private:
  using Refs = std::vector<SchemaRef>;
  struct Pending {
    RuleId rule;
    Refs refs;
  };

  ExpressionId rule_for(Refs refs);
  Status expand(const Shape& shape, std::vector<ExpressionId>& out);
  Result<ExpressionId> expression(const Shape& shape);
  Result<ExpressionId> enum_expression(const Shape& shape);
  Result<bool> is_member(const Shape& shape, const SchemaJson& value);
  Result<ExpressionId> number(const Shape& shape);

  Result<ExpressionId> string(const Shape& shape);
  // nullopt: every string.
  Result<std::optional<CharAutomaton>> string_automaton(const Shape& shape);
  Result<CharAutomaton> pattern_automaton(const SchemaRef& pattern);
  Result<CharAutomaton> regex_automaton(const std::string& source, bool search, const std::string& pointer);
  Result<CharAutomaton> common(const CharAutomaton& a, const CharAutomaton& b, const std::string& pointer);

  struct KeyRegion {  // keys that are not declared, and what their values have to be
    ExpressionId key;
    Refs refs;
  };
  Result<ExpressionId> object(const Shape& shape);
  Result<Refs> property_schemas(const Shape& shape, const std::string& name);
  Result<std::optional<CharAutomaton>> name_automaton(const Shape& shape);
  Result<std::vector<KeyRegion>> other_keys(const Shape& shape, const std::vector<std::string>& names,
                                            const std::optional<CharAutomaton>& allowed);
  ExpressionId members(const Shape& shape, const std::vector<ExpressionId>& declared, const std::vector<bool>& required,
                       const std::vector<ExpressionId>& others);
  Result<ExpressionId> array(const Shape& shape);

  const GrammarOptions& options_;
  Rules rules_;
  JsonText json_;
  std::vector<std::string> warnings_;
  SchemaReader reader_;
  std::map<std::vector<const SchemaJson*>, RuleId> known_;
  std::deque<Pending> pending_;
  std::map<std::pair<std::string, bool>, CharAutomaton> automata_;
  std::size_t num_expanded_ = 0;
};

}  // namespace mlxr::grammar
