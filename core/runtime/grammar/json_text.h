#pragma once
// JSON as expressions: values of every kind, strings with their escapes, and where white space may stand.
//
// Strings of which nothing is asked may use every escape of JSON. Strings that have to match something, and keys, are
// written in one way only: `"` and `\` and control characters escaped (short escapes where there are any, \u00XX
// otherwise), everything else as it is.

#include <functional>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "core/runtime/grammar/char_automaton.h"
#include "core/runtime/grammar/grammar.h"
#include "core/runtime/grammar/rules.h"

namespace mlxr::grammar {

// A path through `automaton`, every character spelled by chars(set).
ExpressionId automaton_graph(Rules& rules, const CharAutomaton& automaton,
                             const std::function<ExpressionId(const CharSet&)>& chars);

class JsonText {
 public:
  JsonText(Rules& rules, JsonWhitespace whitespace) : rules_(rules), whitespace_(whitespace) {}

  ExpressionId space();       // after { [ , : and before } ]
  ExpressionId any_string();  // with its quotes, as all strings here
  ExpressionId any_number();
  ExpressionId any_integer();  // digits only: no fraction, no exponent
  ExpressionId boolean();
  ExpressionId null();
  ExpressionId any_value();
  ExpressionId any_object();
  ExpressionId any_array();

  // Characters of a string without its quotes, counted as JSON Schema counts them.
  ExpressionId string_of_length(int min, int max);
  ExpressionId string_matching(const CharAutomaton& automaton);
  ExpressionId text(std::string_view text);                 // exactly this string
  ExpressionId value(const nlohmann::ordered_json& value);  // exactly this value; object keys in its order

  ExpressionId member(ExpressionId key, ExpressionId value);
  ExpressionId comma();
  // The brackets around members or elements; `inside` may be empty.
  ExpressionId enclosed(std::string_view open, ExpressionId inside, bool may_be_empty, std::string_view close);

 private:
  template <class Make>
  ExpressionId once(RuleId& rule, const char* name, Make make);
  ExpressionId string_char();
  ExpressionId written(const CharSet& set);  // in the one way
  ExpressionId list_of(ExpressionId item);

  Rules& rules_;
  JsonWhitespace whitespace_;
  RuleId space_ = -1, string_ = -1, char_ = -1, number_ = -1, integer_ = -1, value_ = -1, object_ = -1, array_ = -1;
};

}  // namespace mlxr::grammar
