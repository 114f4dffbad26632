// What follows a primary expression: attributes, subscripts, calls, filters and tests.

#include <algorithm>

#include <fmt/core.h>

#include "core/runtime/template/expression_nodes.h"

namespace mlxr::jinja {

Result<ExpressionPtr> ExpressionParser::postfix(ExpressionPtr node) {
  while (true) {
    if (state_.current().is_operator(".")) {
      MLXR_ASSIGN_OR_RETURN(node, attribute(std::move(node)));
    } else if (state_.current().is_operator("[")) {
      MLXR_ASSIGN_OR_RETURN(node, subscript(std::move(node)));
    } else if (state_.current().is_operator("(")) {
      MLXR_ASSIGN_OR_RETURN(node, call(std::move(node)));
    } else {
      return node;
    }
  }
}

Result<ExpressionPtr> ExpressionParser::filters_and_tests(ExpressionPtr node) {
  while (true) {
    if (state_.current().is_operator("|")) {
      MLXR_ASSIGN_OR_RETURN(node, filter(std::move(node)));
    } else if (state_.current().is_name("is")) {
      MLXR_ASSIGN_OR_RETURN(node, test(std::move(node)));
    } else if (state_.current().is_operator("(")) {
      MLXR_ASSIGN_OR_RETURN(node, call(std::move(node)));
    } else {
      return node;
    }
  }
}

Result<ExpressionPtr> ExpressionParser::attribute(ExpressionPtr object) {
  const Position position = state_.take().position;
  const int depth = depth_of(object);
  if (state_.current().type == TokenType::kName) {
    return make(position, depth, Attribute{std::move(object), state_.take().text});
  }
  if (state_.current().type != TokenType::kInteger) return state_.fail("expected name or number");
  MLXR_ASSIGN_OR_RETURN(ExpressionPtr index, number());
  return make(position, depth, Item{std::move(object), std::move(index)});
}

Result<ExpressionPtr> ExpressionParser::subscript(ExpressionPtr object) {
  const Position position = state_.take().position;
  const auto at_part_end = [this] { return state_.current().is_operator(":") || state_.current().is_operator("]"); };
  ExpressionPtr parts[3];
  int count = 0;
  bool slice = false;
  while (!state_.current().is_operator("]")) {
    if (!at_part_end()) {
      MLXR_ASSIGN_OR_RETURN(parts[count], expression());
    }
    if (!state_.current().is_operator(":") || ++count == 3) break;
    state_.take();
    slice = true;
  }
  if (state_.current().is_operator(",")) return state_.fail("an index of several parts is not supported");
  MLXR_RETURN_IF_ERROR(state_.expect_operator("]"));
  const int depth = std::max({depth_of(object), depth_of(parts[0]), depth_of(parts[1]), depth_of(parts[2])});
  if (slice) {
    return make(position, depth,
                Slice{std::move(object), std::move(parts[0]), std::move(parts[1]), std::move(parts[2])});
  }
  if (parts[0] == nullptr) return error_at(position, invalid_argument("expected subscript expression"));
  return make(position, depth, Item{std::move(object), std::move(parts[0])});
}

Result<std::string> ExpressionParser::dotted_name() {
  MLXR_ASSIGN_OR_RETURN(std::string name, state_.expect_any_name());
  while (state_.skip_operator(".")) {
    MLXR_ASSIGN_OR_RETURN(const std::string part, state_.expect_any_name());
    name += "." + part;
  }
  return name;
}

Result<ExpressionPtr> ExpressionParser::filter(ExpressionPtr input) {
  state_.take();
  const Position position = state_.current().position;
  FilterCall node;
  MLXR_ASSIGN_OR_RETURN(node.name, dotted_name());
  if (state_.current().is_operator("(")) {
    MLXR_ASSIGN_OR_RETURN(node.arguments, arguments());
  }
  const int depth = std::max(depth_of(input), depth_of(node.arguments));
  node.input = std::move(input);
  return make(position, depth, std::move(node));
}

Result<ExpressionPtr> ExpressionParser::block_filters() {
  const Position position = state_.current().position;
  FilterCall first;
  MLXR_ASSIGN_OR_RETURN(first.name, dotted_name());
  if (state_.current().is_operator("(")) {
    MLXR_ASSIGN_OR_RETURN(first.arguments, arguments());
  }
  const int depth = depth_of(first.arguments);
  MLXR_ASSIGN_OR_RETURN(ExpressionPtr node, make(position, depth, std::move(first)));
  while (state_.current().is_operator("|")) {
    MLXR_ASSIGN_OR_RETURN(node, filter(std::move(node)));
  }
  return node;
}

Result<ExpressionPtr> ExpressionParser::test(ExpressionPtr input) {
  state_.take();
  TestCall node;
  node.negated = state_.skip_name("not");
  const Position position = state_.current().position;
  MLXR_ASSIGN_OR_RETURN(node.name, dotted_name());
  const Token& token = state_.current();
  const bool starts_operand = token.type == TokenType::kName || token.type == TokenType::kString ||
                              token.type == TokenType::kInteger || token.type == TokenType::kFloat ||
                              token.is_operator("[") || token.is_operator("{");
  const bool ends = token.is_name("else") || token.is_name("or") || token.is_name("and");
  if (token.is_operator("(")) {
    MLXR_ASSIGN_OR_RETURN(node.arguments, arguments());
  } else if (starts_operand && !ends) {
    if (token.is_name("is")) return state_.fail("You cannot chain multiple tests with is");
    MLXR_ASSIGN_OR_RETURN(ExpressionPtr operand, primary());
    MLXR_ASSIGN_OR_RETURN(operand, postfix(std::move(operand)));
    node.arguments.positional.push_back(std::move(operand));
  }
  const int depth = std::max(depth_of(input), depth_of(node.arguments));
  node.input = std::move(input);
  return make(position, depth, std::move(node));
}

Result<ExpressionPtr> ExpressionParser::call(ExpressionPtr callee) {
  const Position position = state_.current().position;
  MLXR_ASSIGN_OR_RETURN(CallSyntax call_arguments, arguments());
  const int depth = std::max(depth_of(callee), depth_of(call_arguments));
  return make(position, depth, CallExpression{std::move(callee), std::move(call_arguments)});
}

Result<CallSyntax> ExpressionParser::arguments() {
  const ParserState::Level level(state_);
  MLXR_RETURN_IF_ERROR(state_.check_level());
  CallSyntax made;
  MLXR_RETURN_IF_ERROR(state_.expect_operator("("));
  bool first = true;
  while (!state_.current().is_operator(")")) {
    if (!first) MLXR_RETURN_IF_ERROR(state_.expect_operator(","));
    first = false;
    if (state_.current().is_operator(")")) break;
    if (state_.skip_operator("*")) {
      if (made.more_positional != nullptr || made.more_named != nullptr)
        return state_.fail("invalid syntax for function call expression");
      MLXR_ASSIGN_OR_RETURN(made.more_positional, expression());
    } else if (state_.skip_operator("**")) {
      if (made.more_named != nullptr) return state_.fail("invalid syntax for function call expression");
      MLXR_ASSIGN_OR_RETURN(made.more_named, expression());
    } else if (state_.current().type == TokenType::kName && state_.ahead().is_operator("=")) {
      if (made.more_named != nullptr) return state_.fail("invalid syntax for function call expression");
      std::string name = state_.take().text;
      state_.take();
      MLXR_ASSIGN_OR_RETURN(ExpressionPtr value, expression());
      made.named.emplace_back(std::move(name), std::move(value));
    } else {
      if (!made.named.empty() || made.more_positional != nullptr || made.more_named != nullptr) {
        return state_.fail("invalid syntax for function call expression");
      }
      MLXR_ASSIGN_OR_RETURN(ExpressionPtr value, expression());
      made.positional.push_back(std::move(value));
    }
  }
  state_.take();
  return made;
}

}  // namespace mlxr::jinja
