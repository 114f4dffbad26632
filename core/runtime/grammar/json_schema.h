#pragma once
// JSON Schema (draft 2020-12) as a grammar. docs/grammar.md lists what is enforced; keywords that are not, and are no
// annotations, are refused by name with the JSON pointer of their place.
//
// Properties are written in the order the schema declares them, then those that `required` alone names, then others.

#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/runtime/grammar/grammar.h"
#include "core/runtime/grammar/rules.h"

namespace mlxr::grammar {

struct SchemaRules {
  Rules rules;
  std::vector<std::string> warnings;  // what is enforced less strictly than written
};

// kInvalidArgument for text that is no JSON or no schema, kUnsupported for keywords that are refused.
Result<SchemaRules> parse_json_schema(std::string_view source, const GrammarOptions& options);

}  // namespace mlxr::grammar
