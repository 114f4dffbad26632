#pragma once
// llama.cpp's grammar notation (its grammars/README.md describes it).
//
//   root  ::= item ("," item)*      a rule; `root` is what a text must match; # begins a comment
//   item  ::= "text" | [a-z0-9] | [^"\n] | . | other-rule | (group) | <[1234]> | <token-name>
//   after an item: * + ? {m} {m,} {m,n}
//   escapes in texts and classes: \n \r \t \\ \" \[ \] \- \^ \xHH \uHHHH \UHHHHHHHH; classes hold code points
//
// A rule ends with its line, except inside of parentheses, behind ::= and |, and before a line that begins with |.
// Left recursion is allowed. Not read: negated tokens (!<...>).

#include <string_view>

#include "core/base/status.h"
#include "core/runtime/grammar/limits.h"
#include "core/runtime/grammar/rules.h"
#include "core/runtime/tokenizer/tokenizer.h"

namespace mlxr::grammar {

// `tokenizer` may be null; then <token-name> is an error. Errors name the line and the column.
Result<Rules> parse_gbnf(std::string_view source, const GrammarLimits& limits, const Tokenizer* tokenizer);

}  // namespace mlxr::grammar
