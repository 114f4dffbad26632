#pragma once
// Functions written in C++ that templates call: filters, tests, methods of strings, lists and mappings, and global
// functions. Each is one row of a table: its name, its parameters in order and the function.

#include <array>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "core/base/status.h"
#include "core/runtime/template/value.h"

namespace mlxr::jinja {

class Interpreter;

// A call whose arguments have been put in the places of the parameters.
class Call {
 public:
  static constexpr std::size_t kMaxParameters = 6;

  Call(Interpreter& interpreter, const Value& self_value, const Arguments& given)
      : run(interpreter), self(self_value), all(given) {}

  bool has(std::size_t i) const { return slots[i] != nullptr; }
  // Requires has(i), which is sure for a parameter without '?'.
  const Value& at(std::size_t i) const { return *slots[i]; }
  // The value, or none.
  Value value_or_none(std::size_t i) const { return has(i) ? at(i) : Value::none(); }
  bool flag(std::size_t i, bool fallback) const { return has(i) ? at(i).truthy() : fallback; }
  // str(argument).
  Result<std::string> text(std::size_t i, std::string_view fallback) const;
  // A TypeError when it is not an integer; none counts as absent. Clamped to 64 bits.
  Result<std::int64_t> integer(std::size_t i, std::int64_t fallback) const;
  // self or an argument that must be a string already.
  Result<std::string_view> string_argument(std::size_t i) const;

  Interpreter& run;
  const Value& self;     // the filter's input, the method's object
  const Arguments& all;  // as given
  std::string_view name;
  std::array<const Value*, kMaxParameters> slots{};
};

using BuiltinFunction = Result<Value> (*)(Call&);

struct Builtin {
  std::string_view name;
  std::string_view parameters;  // "old new count?"; '?' marks what may be left out; "*" takes anything, unbound
  BuiltinFunction function;
};

// Binds and calls; a TypeError naming the function and the parameter when the arguments do not fit.
Result<Value> invoke(const Builtin& builtin, Interpreter& run, const Value& self, const Arguments& arguments);

// The row of a name, or nullptr.
const Builtin* find_builtin(std::span<const Builtin> table, std::string_view name);

// The tables.
const Builtin* find_filter(std::string_view name);
const Builtin* find_test(std::string_view name);
const Builtin* find_global(std::string_view name);
// A method of the value's type, or nullptr.
const Builtin* find_method(const Value& self, std::string_view name);
// Attributes that Python has and the sandbox refuses: list.append, __class__.
bool is_unsafe_attribute(const Value& self, std::string_view name);

std::span<const Builtin> text_filters();
std::span<const Builtin> sequence_filters();
std::span<const Builtin> selection_filters();
std::span<const Builtin> number_filters();
std::span<const Builtin> text_methods();

// A method or global function as a value.
class BuiltinObject final : public Object {
 public:
  BuiltinObject(const Builtin& builtin, Value self) : builtin_(builtin), self_(std::move(self)) {}

  std::string type_name() const override { return "builtin_function_or_method"; }
  std::string printed() const override;
  Result<std::optional<Value>> attribute(Interpreter& run, std::string_view name) override;
  bool callable() const override { return true; }
  Result<Value> call(Interpreter& run, const Arguments& arguments) override;

 private:
  const Builtin& builtin_;
  Value self_;
};

}  // namespace mlxr::jinja
