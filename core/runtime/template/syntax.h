#pragma once
// The syntax tree of a template. Names are numbers (symbols) into SyntaxTree::symbols, so that a scope is a short list
// and only variables that the template mentions are ever converted. Chains (a + b + c, a.b or c or d) are one node with
// many operands: the depth of the tree stays what the writer nested, at most kMaxSyntaxDepth.

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/runtime/template/lexer.h"
#include "core/runtime/template/value.h"

namespace mlxr::jinja {

using Symbol = int;

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

struct CallSyntax {
  std::vector<ExpressionPtr> positional;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
  ExpressionPtr more_positional;  // *x, or null
  ExpressionPtr more_named;       // **x, or null
};

struct Literal {
  Value value;
};
struct Name {
  Symbol symbol;
};
struct ListLiteral {
  std::vector<ExpressionPtr> items;
  bool is_tuple = false;
};
struct DictLiteral {
  std::vector<std::pair<ExpressionPtr, ExpressionPtr>> entries;
};
struct Attribute {  // object.name
  ExpressionPtr object;
  std::string name;
};
struct Item {  // object[index]
  ExpressionPtr object;
  ExpressionPtr index;
};
struct Slice {  // object[start:stop:step], each may be null
  ExpressionPtr object;
  ExpressionPtr start;
  ExpressionPtr stop;
  ExpressionPtr step;
};
struct CallExpression {
  ExpressionPtr callee;
  CallSyntax arguments;
};
struct FilterCall {     // input | name(arguments)
  ExpressionPtr input;  // null: the text of a {% filter %} or {% set %} block
  std::string name;
  CallSyntax arguments;
};
struct TestCall {  // input is name(arguments)
  ExpressionPtr input;
  std::string name;
  CallSyntax arguments;
  bool negated = false;
};
enum class ArithmeticOp : std::uint8_t { kAdd, kSubtract, kMultiply, kDivide, kFloorDivide, kModulo, kPower };
struct Arithmetic {  // first op operand op operand ..., from the left
  ExpressionPtr first;
  std::vector<std::pair<ArithmeticOp, ExpressionPtr>> rest;
};
struct Concatenation {  // a ~ b ~ c
  std::vector<ExpressionPtr> parts;
};
enum class CompareOp : std::uint8_t { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual, kIn, kNotIn };
struct Comparison {  // first op operand op operand: each pair must hold
  ExpressionPtr first;
  std::vector<std::pair<CompareOp, ExpressionPtr>> rest;
};
struct Logic {  // and / or over two or more operands
  std::vector<ExpressionPtr> operands;
  bool is_and = false;
};
enum class UnaryOp : std::uint8_t { kNot, kNegate, kPlus };
struct Unary {
  UnaryOp op;
  ExpressionPtr operand;
};
struct Conditional {  // value if condition else otherwise (null: undefined)
  ExpressionPtr condition;
  ExpressionPtr value;
  ExpressionPtr otherwise;
};

struct Expression {
  Position position;
  int depth = 1;
  std::variant<Literal, Name, ListLiteral, DictLiteral, Attribute, Item, Slice, CallExpression, FilterCall, TestCall,
               Arithmetic, Concatenation, Comparison, Logic, Unary, Conditional>
      node;
};

struct Statement;
using Body = std::vector<Statement>;

// What an assignment writes: a name, an attribute of a namespace, or a tuple of targets.
struct Target {
  enum class Type : std::uint8_t { kName, kAttribute, kTuple };
  Type type = Type::kName;
  Symbol symbol = 0;
  std::string attribute;
  std::vector<Target> parts;
};

struct Parameter {
  Symbol symbol;
  std::string name;
  ExpressionPtr fallback;  // or null
};

struct DataOutput {
  std::string text;
};
struct ExpressionOutput {
  ExpressionPtr expression;
};
struct If {
  std::vector<std::pair<ExpressionPtr, Body>> branches;
  Body otherwise;
};
struct For {
  Target target;
  ExpressionPtr iterable;
  ExpressionPtr condition;  // or null
  Body body;
  Body otherwise;
  bool recursive = false;
};
struct Set {
  Target target;
  ExpressionPtr value;
};
struct SetBlock {
  Target target;
  ExpressionPtr filters;  // a chain of FilterCall ending in a null input, or null
  Body body;
};
struct MacroSyntax {
  Symbol symbol = 0;
  std::string name;
  std::vector<Parameter> parameters;
  Body body;
  bool uses_varargs = false;
  bool uses_kwargs = false;
  bool uses_caller = false;
};
struct MacroDefinition {
  MacroSyntax macro;
};
struct CallBlock {
  MacroSyntax caller;
  ExpressionPtr call;  // a CallExpression
};
struct FilterBlock {
  ExpressionPtr filters;
  Body body;
};
struct With {
  std::vector<std::pair<Target, ExpressionPtr>> assignments;
  Body body;
};
struct ScopedBody {  // {% generation %}
  Body body;
};
struct Break {};
struct Continue {};

struct Statement {
  Position position;
  std::variant<DataOutput, ExpressionOutput, If, For, Set, SetBlock, MacroDefinition, CallBlock, FilterBlock, With,
               ScopedBody, Break, Continue>
      node;
};

// Symbols with a meaning of their own; SymbolTable starts with them, in this order.
enum ReservedSymbol : Symbol { kLoop = 0, kCaller, kVarargs, kKwargs, kNumReservedSymbols };

struct SyntaxTree {
  std::vector<std::string> symbols;
  Body body;
};

}  // namespace mlxr::jinja
