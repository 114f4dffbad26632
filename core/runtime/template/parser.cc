#include "core/runtime/template/parser.h"

#include <array>

#include <fmt/core.h>

#include "core/runtime/template/budget.h"
#include "core/runtime/template/parser_state.h"

namespace mlxr::jinja {
namespace {

class StatementParser {
 public:
  explicit StatementParser(ParserState& state) : state_(state), expressions_(state) {}

  // Statements up to a block that starts with one of `ends` (which stays current, after its {%), or to the end of the
  // template when there are none.
  Result<Body> body_until(std::initializer_list<std::string_view> ends) {
    const ParserState::Level level(state_);
    MLXR_RETURN_IF_ERROR(state_.check_level());
    Body body;
    while (true) {
      const Token& token = state_.current();
      if (token.type == TokenType::kEnd) {
        if (ends.size() == 0) return body;
        return state_.fail(fmt::format("unexpected end of template; expected '{}'", *ends.begin()));
      }
      if (token.type == TokenType::kData) {
        const Position position = token.position;
        body.push_back({position, DataOutput{state_.take().text}});
      } else if (token.type == TokenType::kVariableBegin) {
        const Position position = state_.take().position;
        MLXR_ASSIGN_OR_RETURN(ExpressionPtr expression, expressions_.tuple());
        MLXR_RETURN_IF_ERROR(state_.expect(TokenType::kVariableEnd, "end of print statement"));
        body.push_back({position, ExpressionOutput{std::move(expression)}});
      } else {
        const Position position = state_.take().position;
        for (const std::string_view end : ends) {
          if (state_.current().is_name(end)) return body;
        }
        MLXR_RETURN_IF_ERROR(statement(position, body));
        MLXR_RETURN_IF_ERROR(state_.expect(TokenType::kBlockEnd, "end of statement block"));
      }
    }
  }

 private:
  using Handler = Status (StatementParser::*)(Position, Body&);
  struct Row {
    std::string_view tag;
    Handler handler;
  };

  Status statement(Position position, Body& out) {
    static constexpr std::array<Row, 14> kRows = {{
        {"if", &StatementParser::if_statement},
        {"for", &StatementParser::for_statement},
        {"set", &StatementParser::set_statement},
        {"macro", &StatementParser::macro_statement},
        {"call", &StatementParser::call_statement},
        {"filter", &StatementParser::filter_statement},
        {"with", &StatementParser::with_statement},
        {"print", &StatementParser::print_statement},
        {"generation", &StatementParser::generation_statement},
        {"break", &StatementParser::break_statement},
        {"continue", &StatementParser::continue_statement},
        {"include", &StatementParser::outside_statement},
        {"import", &StatementParser::outside_statement},
        {"extends", &StatementParser::outside_statement},
    }};
    if (state_.current().type != TokenType::kName) return state_.fail("tag name expected");
    for (const Row& row : kRows) {
      if (!state_.current().is_name(row.tag)) continue;
      tag_ = state_.take().text;
      return (this->*row.handler)(position, out);
    }
    return state_.fail(fmt::format("Encountered unknown tag '{}'.", state_.current().text));
  }

  // The rest of a block's opening tag, its body, and the name of the tag that ended it.
  Result<Body> inner_body(std::initializer_list<std::string_view> ends, std::string* end_tag = nullptr) {
    state_.skip_operator(":");
    MLXR_RETURN_IF_ERROR(state_.expect(TokenType::kBlockEnd, "end of statement block"));
    MLXR_ASSIGN_OR_RETURN(Body body, body_until(ends));
    const Token end = state_.take();
    if (end_tag != nullptr) *end_tag = end.text;
    return body;
  }

  Status if_statement(Position position, Body& out) {
    If node;
    std::string end = "elif";
    while (end == "elif") {
      MLXR_ASSIGN_OR_RETURN(ExpressionPtr condition, expressions_.tuple(/*with_condition=*/false));
      MLXR_ASSIGN_OR_RETURN(Body body, inner_body({"endif", "elif", "else"}, &end));
      node.branches.emplace_back(std::move(condition), std::move(body));
    }
    if (end == "else") {
      MLXR_ASSIGN_OR_RETURN(node.otherwise, inner_body({"endif"}));
    }
    out.push_back({position, std::move(node)});
    return {};
  }

  Status for_statement(Position position, Body& out) {
    For node;
    MLXR_ASSIGN_OR_RETURN(node.target, target(/*with_attribute=*/false));
    MLXR_RETURN_IF_ERROR(state_.expect_name("in"));
    MLXR_ASSIGN_OR_RETURN(node.iterable, expressions_.tuple(/*with_condition=*/false, "recursive"));
    if (state_.skip_name("if")) {
      MLXR_ASSIGN_OR_RETURN(node.condition, expressions_.expression());
    }
    node.recursive = state_.skip_name("recursive");
    std::string end;
    ++loops_;
    MLXR_ASSIGN_OR_RETURN(node.body, inner_body({"endfor", "else"}, &end));
    --loops_;
    if (end == "else") {
      MLXR_ASSIGN_OR_RETURN(node.otherwise, inner_body({"endfor"}));
    }
    out.push_back({position, std::move(node)});
    return {};
  }

  Status set_statement(Position position, Body& out) {
    MLXR_ASSIGN_OR_RETURN(Target written, target(/*with_attribute=*/true));
    if (state_.skip_operator("=")) {
      MLXR_ASSIGN_OR_RETURN(ExpressionPtr value, expressions_.tuple());
      out.push_back({position, Set{std::move(written), std::move(value)}});
      return {};
    }
    SetBlock node;
    node.target = std::move(written);
    if (state_.skip_operator("|")) {
      MLXR_ASSIGN_OR_RETURN(node.filters, expressions_.block_filters());
    }
    MLXR_ASSIGN_OR_RETURN(node.body, inner_body({"endset"}));
    out.push_back({position, std::move(node)});
    return {};
  }

  Status macro_statement(Position position, Body& out) {
    MacroDefinition node;
    MLXR_ASSIGN_OR_RETURN(node.macro.name, state_.expect_any_name());
    node.macro.symbol = state_.symbol(node.macro.name);
    MLXR_RETURN_IF_ERROR(signature(node.macro));
    MLXR_RETURN_IF_ERROR(macro_body(node.macro, "endmacro"));
    out.push_back({position, std::move(node)});
    return {};
  }

  Status call_statement(Position position, Body& out) {
    CallBlock node;
    node.caller.name = "caller";
    if (state_.current().is_operator("(")) MLXR_RETURN_IF_ERROR(signature(node.caller));
    MLXR_ASSIGN_OR_RETURN(node.call, expressions_.expression());
    if (!std::holds_alternative<CallExpression>(node.call->node)) return state_.fail("expected call");
    MLXR_RETURN_IF_ERROR(macro_body(node.caller, "endcall"));
    out.push_back({position, std::move(node)});
    return {};
  }

  Status signature(MacroSyntax& macro) {
    MLXR_RETURN_IF_ERROR(state_.expect_operator("("));
    while (!state_.current().is_operator(")")) {
      if (!macro.parameters.empty()) MLXR_RETURN_IF_ERROR(state_.expect_operator(","));
      Parameter parameter;
      MLXR_ASSIGN_OR_RETURN(parameter.name, state_.expect_any_name());
      parameter.symbol = state_.symbol(parameter.name);
      if (state_.skip_operator("=")) {
        MLXR_ASSIGN_OR_RETURN(parameter.fallback, expressions_.expression());
      } else if (!macro.parameters.empty() && macro.parameters.back().fallback != nullptr) {
        return state_.fail("non-default argument follows default argument");
      }
      macro.parameters.push_back(std::move(parameter));
    }
    state_.take();
    return {};
  }

  // A macro takes extra arguments only when its body mentions them.
  Status macro_body(MacroSyntax& macro, std::string_view end) {
    const int varargs = state_.mentions(kVarargs);
    const int kwargs = state_.mentions(kKwargs);
    const int caller = state_.mentions(kCaller);
    const int loops = std::exchange(loops_, 0);
    MLXR_ASSIGN_OR_RETURN(macro.body, inner_body({end}));
    loops_ = loops;
    macro.uses_varargs = state_.mentions(kVarargs) > varargs;
    macro.uses_kwargs = state_.mentions(kKwargs) > kwargs;
    macro.uses_caller = state_.mentions(kCaller) > caller;
    return {};
  }

  Status filter_statement(Position position, Body& out) {
    FilterBlock node;
    MLXR_ASSIGN_OR_RETURN(node.filters, expressions_.block_filters());
    MLXR_ASSIGN_OR_RETURN(node.body, inner_body({"endfilter"}));
    out.push_back({position, std::move(node)});
    return {};
  }

  Status with_statement(Position position, Body& out) {
    With node;
    while (state_.current().type != TokenType::kBlockEnd && !state_.current().is_operator(":")) {
      if (!node.assignments.empty()) MLXR_RETURN_IF_ERROR(state_.expect_operator(","));
      MLXR_ASSIGN_OR_RETURN(Target written, target(/*with_attribute=*/false));
      MLXR_RETURN_IF_ERROR(state_.expect_operator("="));
      MLXR_ASSIGN_OR_RETURN(ExpressionPtr value, expressions_.expression());
      node.assignments.emplace_back(std::move(written), std::move(value));
    }
    MLXR_ASSIGN_OR_RETURN(node.body, inner_body({"endwith"}));
    out.push_back({position, std::move(node)});
    return {};
  }

  Status print_statement(Position position, Body& out) {
    bool first = true;
    while (state_.current().type != TokenType::kBlockEnd) {
      if (!first) MLXR_RETURN_IF_ERROR(state_.expect_operator(","));
      first = false;
      MLXR_ASSIGN_OR_RETURN(ExpressionPtr expression, expressions_.expression());
      out.push_back({position, ExpressionOutput{std::move(expression)}});
    }
    return {};
  }

  // Marks what the assistant said, for training; it renders as its body.
  Status generation_statement(Position position, Body& out) {
    ScopedBody node;
    MLXR_ASSIGN_OR_RETURN(node.body, inner_body({"endgeneration"}));
    out.push_back({position, std::move(node)});
    return {};
  }

  Status break_statement(Position position, Body& out) {
    if (loops_ == 0) return ParserState::fail_at(position, "'break' outside loop");
    out.push_back({position, Break{}});
    return {};
  }

  Status continue_statement(Position position, Body& out) {
    if (loops_ == 0) return ParserState::fail_at(position, "'continue' outside loop");
    out.push_back({position, Continue{}});
    return {};
  }

  Status outside_statement(Position position, Body& /*out*/) {
    return error_at(position,
                    unsupported(fmt::format("a chat template stands alone: {{% {} %}} is not supported", tag_)));
  }

  Result<Target> target(bool with_attribute) {
    if (with_attribute && state_.current().type == TokenType::kName && state_.ahead().is_operator(".")) {
      Target made;
      made.type = Target::Type::kAttribute;
      made.symbol = state_.symbol(state_.take().text);
      state_.take();
      MLXR_ASSIGN_OR_RETURN(made.attribute, state_.expect_any_name());
      return made;
    }
    Target made;
    made.type = Target::Type::kTuple;
    bool comma = false;
    do {
      const Token& token = state_.current();
      if (comma && (token.is_name("in") || token.is_operator("=") || token.is_operator(")"))) break;
      MLXR_ASSIGN_OR_RETURN(Target part, target_part());
      made.parts.push_back(std::move(part));
      if (!state_.current().is_operator(",")) break;
      comma = true;
    } while (state_.skip_operator(","));
    if (!comma) return Target(std::move(made.parts.front()));
    return made;
  }

  Result<Target> target_part() {
    const ParserState::Level level(state_);
    MLXR_RETURN_IF_ERROR(state_.check_level());
    if (state_.skip_operator("(")) {
      MLXR_ASSIGN_OR_RETURN(Target inside, target(/*with_attribute=*/false));
      MLXR_RETURN_IF_ERROR(state_.expect_operator(")"));
      return inside;
    }
    Target made;
    const Position position = state_.current().position;
    MLXR_ASSIGN_OR_RETURN(const std::string name, state_.expect_any_name());
    for (const std::string_view constant : {"true", "false", "none", "True", "False", "None"}) {
      if (name == constant) return ParserState::fail_at(position, fmt::format("can't assign to '{}'", name));
    }
    made.symbol = state_.symbol(name);
    return made;
  }

  ParserState& state_;
  ExpressionParser expressions_;
  std::string tag_;  // of the statement being parsed
  int loops_ = 0;    // around the statement, within its macro
};

}  // namespace

ParserState::ParserState(std::vector<Token> tokens) : tokens_(std::move(tokens)) {
  for (const char* name : {"loop", "caller", "varargs", "kwargs"})
    symbol(name);
  for (int& count : mentions_)
    count = 0;
}

Token ParserState::take() {
  if (current().type == TokenType::kEnd) return current();
  return std::move(tokens_[next_++]);
}

bool ParserState::skip_operator(std::string_view op) {
  if (!current().is_operator(op)) return false;
  take();
  return true;
}

bool ParserState::skip_name(std::string_view name) {
  if (!current().is_name(name)) return false;
  take();
  return true;
}

Status ParserState::expect(TokenType type, std::string_view what) {
  if (current().type != type) return fail(fmt::format("expected {}, got {}", what, token_text(current())));
  take();
  return {};
}

Status ParserState::expect_operator(std::string_view op) {
  if (!skip_operator(op)) return fail(fmt::format("expected '{}', got {}", op, token_text(current())));
  return {};
}

Status ParserState::expect_name(std::string_view name) {
  if (!skip_name(name)) return fail(fmt::format("expected '{}', got {}", name, token_text(current())));
  return {};
}

Result<std::string> ParserState::expect_any_name() {
  if (current().type != TokenType::kName) return fail(fmt::format("expected a name, got {}", token_text(current())));
  return take().text;
}

Symbol ParserState::symbol(const std::string& name) {
  const auto [place, fresh] = symbol_numbers_.try_emplace(name, static_cast<Symbol>(symbols_.size()));
  if (fresh) symbols_.push_back(name);
  if (place->second < kNumReservedSymbols) ++mentions_[place->second];
  return place->second;
}

Status ParserState::fail_at(Position position, const std::string& message) {
  return error_at(position, invalid_argument(message));
}

Status ParserState::check_level() const {
  if (level_ <= kMaxSyntaxDepth) return {};
  return error_at(current().position, resource_exhausted("the template is nested too deeply"));
}

std::string token_text(const Token& token) {
  switch (token.type) {
    case TokenType::kData:
      return "text";
    case TokenType::kBlockBegin:
      return "'{%'";
    case TokenType::kBlockEnd:
      return "'%}'";
    case TokenType::kVariableBegin:
      return "'{{'";
    case TokenType::kVariableEnd:
      return "'}}'";
    case TokenType::kString:
      return "a string";
    case TokenType::kEnd:
      return "the end of the template";
    default:
      return "'" + token.text + "'";
  }
}

Result<SyntaxTree> parse(std::string_view source) {
  MLXR_ASSIGN_OR_RETURN(std::vector<Token> tokens, tokenize(source));
  ParserState state(std::move(tokens));
  SyntaxTree tree;
  MLXR_ASSIGN_OR_RETURN(tree.body, StatementParser(state).body_until({}));
  tree.symbols = state.take_symbols();
  return tree;
}

}  // namespace mlxr::jinja
