// Expressions: the value of every node of the syntax tree.

#include <fmt/core.h>

#include "core/runtime/template/access.h"
#include "core/runtime/template/arithmetic.h"
#include "core/runtime/template/builtin.h"
#include "core/runtime/template/compare.h"
#include "core/runtime/template/interpreter.h"
#include "core/runtime/template/printing.h"

namespace mlxr::jinja {

struct Evaluator {
  Interpreter& run;

  Result<Value> operator()(const Literal& node) const { return node.value; }
  Result<Value> operator()(const Name& node) const { return run.lookup(node.symbol); }

  Result<Value> operator()(const ListLiteral& node) const {
    std::vector<Value> items;
    items.reserve(node.items.size());
    for (const ExpressionPtr& item : node.items) {
      MLXR_ASSIGN_OR_RETURN(Value value, run.evaluate(*item));
      items.push_back(std::move(value));
    }
    return run.admit(node.is_tuple ? Value::tuple(std::move(items)) : Value::list(std::move(items)));
  }

  Result<Value> operator()(const DictLiteral& node) const {
    std::vector<Value::Entry> entries;
    for (const auto& [key_syntax, value_syntax] : node.entries) {
      MLXR_ASSIGN_OR_RETURN(Value key, run.evaluate(*key_syntax));
      MLXR_ASSIGN_OR_RETURN(Value value, run.evaluate(*value_syntax));
      entries.emplace_back(std::move(key), std::move(value));
    }
    MLXR_ASSIGN_OR_RETURN(Value mapping, Value::mapping(std::move(entries)));
    return run.admit(std::move(mapping));
  }

  Result<Value> operator()(const Attribute& node) const {
    MLXR_ASSIGN_OR_RETURN(const Value object, run.evaluate(*node.object));
    return get_attribute(run, object, node.name);
  }

  Result<Value> operator()(const Item& node) const {
    MLXR_ASSIGN_OR_RETURN(const Value object, run.evaluate(*node.object));
    MLXR_ASSIGN_OR_RETURN(const Value index, run.evaluate(*node.index));
    return get_item(run, object, index);
  }

  Result<Value> operator()(const Slice& node) const {
    MLXR_ASSIGN_OR_RETURN(const Value object, run.evaluate(*node.object));
    MLXR_ASSIGN_OR_RETURN(const Value start, value_or_none(node.start));
    MLXR_ASSIGN_OR_RETURN(const Value stop, value_or_none(node.stop));
    MLXR_ASSIGN_OR_RETURN(const Value step, value_or_none(node.step));
    MLXR_ASSIGN_OR_RETURN(Value slice, get_slice(run, object, start, stop, step));
    return run.admit(std::move(slice));
  }

  Result<Value> operator()(const CallExpression& node) const {
    // A method is called where it is found, without a value for it.
    if (const auto* attribute = std::get_if<Attribute>(&node.callee->node)) {
      MLXR_ASSIGN_OR_RETURN(const Value object, run.evaluate(*attribute->object));
      const Builtin* method = find_method(object, attribute->name);
      MLXR_ASSIGN_OR_RETURN(const Value callee,
                            method != nullptr ? Result<Value>(Value()) : get_attribute(run, object, attribute->name));
      MLXR_ASSIGN_OR_RETURN(const Arguments arguments, run.evaluate_arguments(node.arguments));
      return method != nullptr ? invoke(*method, run, object, arguments) : run.call(callee, arguments);
    }
    MLXR_ASSIGN_OR_RETURN(const Value callee, run.evaluate(*node.callee));
    MLXR_ASSIGN_OR_RETURN(const Arguments arguments, run.evaluate_arguments(node.arguments));
    return run.call(callee, arguments);
  }

  Result<Value> operator()(const FilterCall& node) const {
    Value input = run.block_input_;
    if (node.input != nullptr) {
      MLXR_ASSIGN_OR_RETURN(input, run.evaluate(*node.input));
    }
    MLXR_ASSIGN_OR_RETURN(const Arguments arguments, run.evaluate_arguments(node.arguments));
    return run.filter(node.name, input, arguments);
  }

  Result<Value> operator()(const TestCall& node) const {
    MLXR_ASSIGN_OR_RETURN(const Value input, run.evaluate(*node.input));
    MLXR_ASSIGN_OR_RETURN(const Arguments arguments, run.evaluate_arguments(node.arguments));
    MLXR_ASSIGN_OR_RETURN(const bool holds, run.test(node.name, input, arguments));
    return Value::boolean(holds != node.negated);
  }

  Result<Value> operator()(const Arithmetic& node) const {
    MLXR_ASSIGN_OR_RETURN(Value value, run.evaluate(*node.first));
    for (const auto& [op, operand_syntax] : node.rest) {
      MLXR_ASSIGN_OR_RETURN(const Value operand, run.evaluate(*operand_syntax));
      MLXR_ASSIGN_OR_RETURN(value, calculate(op, value, operand, run.budget_));
      MLXR_ASSIGN_OR_RETURN(value, run.admit(std::move(value)));
    }
    return value;
  }

  Result<Value> operator()(const Concatenation& node) const {
    std::string text;
    for (const ExpressionPtr& part : node.parts) {
      MLXR_ASSIGN_OR_RETURN(const Value value, run.evaluate(*part));
      MLXR_RETURN_IF_ERROR(print(value, run.budget_, text));
    }
    return run.admit(Value::text(std::move(text)));
  }

  Result<Value> operator()(const Comparison& node) const {
    MLXR_ASSIGN_OR_RETURN(Value left, run.evaluate(*node.first));
    for (const auto& [op, operand] : node.rest) {
      MLXR_ASSIGN_OR_RETURN(Value right, run.evaluate(*operand));
      MLXR_ASSIGN_OR_RETURN(const bool holds, compare(op, left, right));
      if (!holds) return Value::boolean(false);
      left = std::move(right);
    }
    return Value::boolean(true);
  }

  // The operand that decides, as in Python.
  Result<Value> operator()(const Logic& node) const {
    Value value;
    for (const ExpressionPtr& operand : node.operands) {
      MLXR_ASSIGN_OR_RETURN(value, run.evaluate(*operand));
      if (value.truthy() != node.is_and) break;
    }
    return value;
  }

  Result<Value> operator()(const Unary& node) const {
    MLXR_ASSIGN_OR_RETURN(const Value value, run.evaluate(*node.operand));
    if (node.op == UnaryOp::kNot) return Value::boolean(!value.truthy());
    return node.op == UnaryOp::kNegate ? negate(value) : plus(value);
  }

  Result<Value> operator()(const Conditional& node) const {
    MLXR_ASSIGN_OR_RETURN(const Value condition, run.evaluate(*node.condition));
    if (condition.truthy()) return run.evaluate(*node.value);
    if (node.otherwise != nullptr) return run.evaluate(*node.otherwise);
    return Value::undefined("the inline if-expression evaluated to false and no else section was defined.");
  }

 private:
  Result<Value> value_or_none(const ExpressionPtr& expression) const {
    return expression == nullptr ? Result<Value>(Value::none()) : run.evaluate(*expression);
  }

  Result<bool> compare(CompareOp op, const Value& left, const Value& right) const {
    Budget& budget = run.budget_;
    bool holds = false;
    switch (op) {
      case CompareOp::kEqual:
        return equals(left, right, budget);
      case CompareOp::kNotEqual: {
        MLXR_ASSIGN_OR_RETURN(holds, equals(left, right, budget));
        return !holds;
      }
      case CompareOp::kIn:
        return contains(right, left, budget);
      case CompareOp::kNotIn: {
        MLXR_ASSIGN_OR_RETURN(holds, contains(right, left, budget));
        return !holds;
      }
      case CompareOp::kLess:
        return ordered(left, right, "<", less(left, right, budget));
      case CompareOp::kGreater:
        return ordered(left, right, ">", less(right, left, budget));
      case CompareOp::kLessEqual:
      case CompareOp::kGreaterEqual: {
        const bool ascending = op == CompareOp::kLessEqual;
        MLXR_ASSIGN_OR_RETURN(holds, ordered(left, right, ascending ? "<=" : ">=",
                                             ascending ? less(left, right, budget) : less(right, left, budget)));
        return holds ? Result<bool>(true) : equals(left, right, budget);
      }
    }
    return holds;
  }

  // Only less() compares; its error then names the operator that the template wrote.
  static Result<bool> ordered(const Value& left, const Value& right, std::string_view op, Result<bool> result) {
    if (result.ok() || left.is_undefined() || right.is_undefined() ||
        result.status().code() != StatusCode::kInvalidArgument) {
      return result;
    }
    return invalid_argument(
        fmt::format("'{}' not supported between instances of '{}' and '{}'", op, left.type_name(), right.type_name()));
  }
};

Result<Value> Interpreter::evaluate(const Expression& expression) {
  const Depth depth(*this);
  MLXR_RETURN_IF_ERROR(check_depth());
  MLXR_RETURN_IF_ERROR(budget_.work(1));
  Result<Value> value = std::visit(Evaluator{*this}, expression.node);
  if (!value.ok()) return located(expression.position, value.status());
  return value;
}

Result<Arguments> Interpreter::evaluate_arguments(const CallSyntax& call) {
  Arguments arguments;
  arguments.positional.reserve(call.positional.size());
  for (const ExpressionPtr& expression : call.positional) {
    MLXR_ASSIGN_OR_RETURN(Value value, evaluate(*expression));
    arguments.positional.push_back(std::move(value));
  }
  for (const auto& [name, expression] : call.named) {
    MLXR_ASSIGN_OR_RETURN(Value value, evaluate(*expression));
    arguments.named.emplace_back(name, std::move(value));
  }
  if (call.more_positional != nullptr) {
    MLXR_ASSIGN_OR_RETURN(const Value more, evaluate(*call.more_positional));
    MLXR_ASSIGN_OR_RETURN(const Value items, iterate(*this, more));
    MLXR_RETURN_IF_ERROR(budget_.allocate(items.as_sequence().items.size(), sizeof(Value)));
    for (const Value& item : items.as_sequence().items)
      arguments.positional.push_back(item);
  }
  if (call.more_named != nullptr) {
    MLXR_ASSIGN_OR_RETURN(const Value more, evaluate(*call.more_named));
    if (!more.is_mapping()) return invalid_argument("argument after ** must be a mapping, not " + more.type_name());
    MLXR_RETURN_IF_ERROR(budget_.allocate(more.as_mapping().entries.size(), sizeof(Value::Entry)));
    for (const auto& [key, value] : more.as_mapping().entries) {
      if (!key.is_text()) return invalid_argument("keywords must be strings");
      arguments.named.emplace_back(key.as_text(), value);
    }
  }
  return arguments;
}

}  // namespace mlxr::jinja
