#pragma once
// Regular expressions as grammars. A text has to match as a whole, unless the caller says otherwise.
//
// Read: characters, . (no line end: \n \r U+2028 U+2029), classes [a-z] [^...] with \d \w \s and their opposites \D \W
// \S (d and w are ASCII's, s is Unicode's white space), escapes \n \r \t \f \v \0 \xHH \uHHHH \u{...} \cX and of any
// sign, pairs of surrogate escapes, groups (...) (?:...) (?<name>...) (?P<name>...), | * + ? {m} {m,} {m,n} and their
// lazy and possessive-looking forms *? +? ?? {m,n}? (which match the same texts), ^ and $ at any place (\A and \Z too).
//
// Refused by name, kUnsupported: back-references, look-around, \b and \B, \p{...}, inline flags, atomic groups,
// conditionals, possessive quantifiers.

#include <string_view>

#include "core/base/status.h"
#include "core/runtime/grammar/rules.h"

namespace mlxr::grammar {

struct RegexExpression {
  ExpressionId expression = -1;
  bool has_anchors = false;  // then it holds kAnchorBegin and kAnchorEnd, which CharAutomaton::of_expression resolves
};

// Adds the expression to `rules`. Errors name the offset in bytes.
Result<RegexExpression> parse_regex(Rules& rules, std::string_view source);

}  // namespace mlxr::grammar
