// Precedence, loosest first: if-else, or, and, not, comparisons, + -, ~, * / // %, **, unary, postfix, filters and
// tests. Source: the grammar of Jinja 3.1.

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include <fmt/core.h>

#include "core/runtime/template/expression_nodes.h"

namespace mlxr::jinja {
namespace {

struct CompareRow {
  std::string_view text;
  CompareOp op;
};
constexpr std::array<CompareRow, 6> kCompareOps = {{{"==", CompareOp::kEqual},
                                                    {"!=", CompareOp::kNotEqual},
                                                    {"<", CompareOp::kLess},
                                                    {"<=", CompareOp::kLessEqual},
                                                    {">", CompareOp::kGreater},
                                                    {">=", CompareOp::kGreaterEqual}}};

struct ArithmeticRow {
  std::string_view text;
  ArithmeticOp op;
};
constexpr std::array<ArithmeticRow, 2> kSumOps = {{{"+", ArithmeticOp::kAdd}, {"-", ArithmeticOp::kSubtract}}};
constexpr std::array<ArithmeticRow, 4> kProductOps = {{{"*", ArithmeticOp::kMultiply},
                                                       {"/", ArithmeticOp::kDivide},
                                                       {"//", ArithmeticOp::kFloorDivide},
                                                       {"%", ArithmeticOp::kModulo}}};
constexpr std::array<ArithmeticRow, 1> kPowerOps = {{{"**", ArithmeticOp::kPower}}};

template <class Rows>
auto find_operator(const Rows& rows, const Token& token) {
  return std::find_if(rows.begin(), rows.end(), [&](const auto& row) { return token.is_operator(row.text); });
}

}  // namespace

Result<ExpressionPtr> ExpressionParser::expression(bool with_condition) {
  const ParserState::Level level(state_);
  MLXR_RETURN_IF_ERROR(state_.check_level());
  return with_condition ? conditional() : logic(/*is_and=*/false);
}

Result<ExpressionPtr> ExpressionParser::conditional() {
  MLXR_ASSIGN_OR_RETURN(ExpressionPtr value, logic(/*is_and=*/false));
  while (state_.current().is_name("if")) {
    const Position position = state_.take().position;
    MLXR_ASSIGN_OR_RETURN(ExpressionPtr condition, logic(/*is_and=*/false));
    ExpressionPtr otherwise;
    if (state_.skip_name("else")) {
      const ParserState::Level level(state_);
      MLXR_RETURN_IF_ERROR(state_.check_level());
      MLXR_ASSIGN_OR_RETURN(otherwise, conditional());
    }
    const int depth = std::max({depth_of(condition), depth_of(value), depth_of(otherwise)});
    Conditional node{std::move(condition), std::move(value), std::move(otherwise)};
    MLXR_ASSIGN_OR_RETURN(value, make(position, depth, std::move(node)));
  }
  return value;
}

Result<ExpressionPtr> ExpressionParser::logic(bool is_and) {
  const Position position = state_.current().position;
  std::vector<ExpressionPtr> operands;
  do {
    MLXR_ASSIGN_OR_RETURN(ExpressionPtr operand, is_and ? negation() : logic(/*is_and=*/true));
    operands.push_back(std::move(operand));
  } while (state_.skip_name(is_and ? "and" : "or"));
  if (operands.size() == 1) return std::move(operands.front());
  const int depth = depth_of(operands);
  return make(position, depth, Logic{std::move(operands), is_and});
}

Result<ExpressionPtr> ExpressionParser::negation() {
  if (!state_.current().is_name("not")) return comparison();
  const Position position = state_.take().position;
  const ParserState::Level level(state_);
  MLXR_RETURN_IF_ERROR(state_.check_level());
  MLXR_ASSIGN_OR_RETURN(ExpressionPtr operand, negation());
  const int depth = depth_of(operand);
  return make(position, depth, Unary{UnaryOp::kNot, std::move(operand)});
}

Result<ExpressionPtr> ExpressionParser::comparison() {
  const Position position = state_.current().position;
  MLXR_ASSIGN_OR_RETURN(ExpressionPtr first, sum());
  std::vector<std::pair<CompareOp, ExpressionPtr>> rest;
  while (true) {
    const auto row = find_operator(kCompareOps, state_.current());
    CompareOp op = CompareOp::kIn;
    if (row != kCompareOps.end()) {
      op = row->op;
      state_.take();
    } else if (state_.current().is_name("not") && state_.ahead().is_name("in")) {
      op = CompareOp::kNotIn;
      state_.take();
      state_.take();
    } else if (!state_.skip_name("in")) {
      break;
    }
    MLXR_ASSIGN_OR_RETURN(ExpressionPtr operand, sum());
    rest.emplace_back(op, std::move(operand));
  }
  if (rest.empty()) return first;
  const int depth = std::max(depth_of(first), depth_of(rest));
  return make(position, depth, Comparison{std::move(first), std::move(rest)});
}

namespace {

// operand (op operand)*; the caller makes the node.
template <class Rows, class Operand>
Result<Arithmetic> arithmetic_chain(ParserState& state, const Rows& rows, Operand operand) {
  Arithmetic chain;
  MLXR_ASSIGN_OR_RETURN(chain.first, operand());
  for (auto row = find_operator(rows, state.current()); row != rows.end(); row = find_operator(rows, state.current())) {
    state.take();
    MLXR_ASSIGN_OR_RETURN(ExpressionPtr next, operand());
    chain.rest.emplace_back(row->op, std::move(next));
  }
  return chain;
}

}  // namespace

Result<ExpressionPtr> ExpressionParser::sum() {
  const Position position = state_.current().position;
  MLXR_ASSIGN_OR_RETURN(Arithmetic chain, arithmetic_chain(state_, kSumOps, [this] { return concatenation(); }));
  if (chain.rest.empty()) return std::move(chain.first);
  const int depth = std::max(depth_of(chain.first), depth_of(chain.rest));
  return make(position, depth, std::move(chain));
}

Result<ExpressionPtr> ExpressionParser::concatenation() {
  const Position position = state_.current().position;
  std::vector<ExpressionPtr> parts;
  do {
    MLXR_ASSIGN_OR_RETURN(ExpressionPtr part, product());
    parts.push_back(std::move(part));
  } while (state_.skip_operator("~"));
  if (parts.size() == 1) return std::move(parts.front());
  const int depth = depth_of(parts);
  return make(position, depth, Concatenation{std::move(parts)});
}

Result<ExpressionPtr> ExpressionParser::product() {
  const Position position = state_.current().position;
  MLXR_ASSIGN_OR_RETURN(Arithmetic chain, arithmetic_chain(state_, kProductOps, [this] { return power(); }));
  if (chain.rest.empty()) return std::move(chain.first);
  const int depth = std::max(depth_of(chain.first), depth_of(chain.rest));
  return make(position, depth, std::move(chain));
}

Result<ExpressionPtr> ExpressionParser::power() {
  const Position position = state_.current().position;
  MLXR_ASSIGN_OR_RETURN(Arithmetic chain, arithmetic_chain(state_, kPowerOps, [this] { return unary(true); }));
  if (chain.rest.empty()) return std::move(chain.first);
  const int depth = std::max(depth_of(chain.first), depth_of(chain.rest));
  return make(position, depth, std::move(chain));
}

Result<ExpressionPtr> ExpressionParser::unary(bool with_filters) {
  const Position position = state_.current().position;
  const bool minus = state_.current().is_operator("-");
  ExpressionPtr node;
  if (minus || state_.current().is_operator("+")) {
    state_.take();
    const ParserState::Level level(state_);
    MLXR_RETURN_IF_ERROR(state_.check_level());
    MLXR_ASSIGN_OR_RETURN(ExpressionPtr operand, unary(false));
    const int depth = depth_of(operand);
    MLXR_ASSIGN_OR_RETURN(node,
                          make(position, depth, Unary{minus ? UnaryOp::kNegate : UnaryOp::kPlus, std::move(operand)}));
  } else {
    MLXR_ASSIGN_OR_RETURN(node, primary());
  }
  MLXR_ASSIGN_OR_RETURN(node, postfix(std::move(node)));
  return with_filters ? filters_and_tests(std::move(node)) : Result<ExpressionPtr>(std::move(node));
}

Result<ExpressionPtr> ExpressionParser::primary() {
  const Token& token = state_.current();
  const Position position = token.position;
  switch (token.type) {
    case TokenType::kName:
      return name_or_constant();
    case TokenType::kString: {
      std::string text;  // adjacent strings are one
      while (state_.current().type == TokenType::kString)
        text += state_.take().text;
      return make(position, 0, Literal{Value::text(std::move(text))});
    }
    case TokenType::kInteger:
    case TokenType::kFloat:
      return number();
    default:
      break;
  }
  if (token.is_operator("(")) return parenthesised();
  if (token.is_operator("[")) return list();
  if (token.is_operator("{")) return dict();
  return state_.fail("unexpected " + token_text(token));
}

Result<ExpressionPtr> ExpressionParser::name_or_constant() {
  const Token token = state_.take();
  if (token.text == "true" || token.text == "True") return make(token.position, 0, Literal{Value::boolean(true)});
  if (token.text == "false" || token.text == "False") return make(token.position, 0, Literal{Value::boolean(false)});
  if (token.text == "none" || token.text == "None") return make(token.position, 0, Literal{Value::none()});
  return make(token.position, 0, Name{state_.symbol(token.text)});
}

Result<ExpressionPtr> ExpressionParser::number() {
  const Token token = state_.take();
  if (token.type == TokenType::kFloat) {
    double value = 0;
    const char* end = token.text.data() + token.text.size();
    const auto parsed = std::from_chars(token.text.data(), end, value);
    if (parsed.ec == std::errc::result_out_of_range) {
      const bool tiny = token.text.find("e-") != std::string::npos || token.text.find("E-") != std::string::npos;
      value = tiny ? 0.0 : std::numeric_limits<double>::infinity();
    }
    return make(token.position, 0, Literal{Value::number(value)});
  }
  const bool prefixed = token.text.size() > 2 && token.text[0] == '0' && token.text[1] > '9';
  const char marker = prefixed ? static_cast<char>(token.text[1] | 0x20) : '\0';
  const int base = marker == 'x' ? 16 : marker == 'o' ? 8 : marker == 'b' ? 2 : 10;
  Integer value = 0;
  for (std::size_t i = prefixed ? 2 : 0; i < token.text.size(); ++i) {
    const char c = token.text[i];
    const int digit = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
    if (__builtin_mul_overflow(value, static_cast<Integer>(base), &value) ||
        __builtin_add_overflow(value, static_cast<Integer>(digit), &value)) {
      return error_at(token.position, unsupported("the integer is too large"));
    }
  }
  return make(token.position, 0, Literal{Value::integer(value)});
}

Result<ExpressionPtr> ExpressionParser::parenthesised() {
  const Position position = state_.take().position;
  if (state_.skip_operator(")")) return make(position, 0, ListLiteral{{}, /*is_tuple=*/true});
  MLXR_ASSIGN_OR_RETURN(ExpressionPtr inside, tuple());
  MLXR_RETURN_IF_ERROR(state_.expect_operator(")"));
  return inside;
}

Result<ExpressionPtr> ExpressionParser::list() {
  const Position position = state_.take().position;
  ListLiteral node;
  while (!state_.current().is_operator("]")) {
    if (!node.items.empty()) MLXR_RETURN_IF_ERROR(state_.expect_operator(","));
    if (state_.current().is_operator("]")) break;
    MLXR_ASSIGN_OR_RETURN(ExpressionPtr item, expression());
    node.items.push_back(std::move(item));
  }
  state_.take();
  const int depth = depth_of(node.items);
  return make(position, depth, std::move(node));
}

Result<ExpressionPtr> ExpressionParser::dict() {
  const Position position = state_.take().position;
  DictLiteral node;
  int depth = 0;
  while (!state_.current().is_operator("}")) {
    if (!node.entries.empty()) MLXR_RETURN_IF_ERROR(state_.expect_operator(","));
    if (state_.current().is_operator("}")) break;
    MLXR_ASSIGN_OR_RETURN(ExpressionPtr key, expression());
    MLXR_RETURN_IF_ERROR(state_.expect_operator(":"));
    MLXR_ASSIGN_OR_RETURN(ExpressionPtr value, expression());
    depth = std::max({depth, depth_of(key), depth_of(value)});
    node.entries.emplace_back(std::move(key), std::move(value));
  }
  state_.take();
  return make(position, depth, std::move(node));
}

bool ExpressionParser::ends_tuple(std::string_view stop) const {
  const Token& token = state_.current();
  return token.type == TokenType::kVariableEnd || token.type == TokenType::kBlockEnd || token.type == TokenType::kEnd ||
         token.is_operator(")") || (!stop.empty() && token.is_name(stop));
}

Result<ExpressionPtr> ExpressionParser::tuple(bool with_condition, std::string_view stop) {
  const Position position = state_.current().position;
  ListLiteral node{{}, /*is_tuple=*/true};
  bool comma = false;
  do {
    if (comma && ends_tuple(stop)) break;
    MLXR_ASSIGN_OR_RETURN(ExpressionPtr item, expression(with_condition));
    node.items.push_back(std::move(item));
    if (!state_.current().is_operator(",")) break;
    comma = true;
  } while (state_.skip_operator(","));
  if (!comma) return std::move(node.items.front());
  const int depth = depth_of(node.items);
  return make(position, depth, std::move(node));
}

}  // namespace mlxr::jinja
