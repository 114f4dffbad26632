#pragma once
// A template's source as tokens. Whitespace control happens here, with the settings of Hugging Face: trim_blocks (a
// newline after a block or comment goes), lstrip_blocks (white space before a block or comment on its line goes) and no
// newline at the end of the source. Source of the rules: the Jinja 3.1 template designer documentation.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace mlxr::jinja {

// From 1, in code points of the line.
struct Position {
  int line = 1;
  int column = 1;
};

enum class TokenType : std::uint8_t {
  kData,           // text outside of tags
  kBlockBegin,     // {%
  kBlockEnd,       // %}
  kVariableBegin,  // {{
  kVariableEnd,    // }}
  kName,
  kString,   // text: the value, escapes resolved
  kInteger,  // text: the literal, underscores removed
  kFloat,
  kOperator,  // text: the operator
  kEnd,
};

struct Token {
  TokenType type = TokenType::kEnd;
  std::string text;
  Position position;

  bool is_operator(std::string_view op) const { return type == TokenType::kOperator && text == op; }
  bool is_name(std::string_view name) const { return type == TokenType::kName && text == name; }
};

// "line 3, column 7: message".
Status error_at(Position position, const Status& status);

// The last token is always kEnd. Fails with kInvalidArgument, naming the place.
Result<std::vector<Token>> tokenize(std::string_view source);

}  // namespace mlxr::jinja
