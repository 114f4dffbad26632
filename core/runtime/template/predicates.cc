// The tests of `x is test`. Source: Jinja 3.1's list of builtin tests.

#include <array>

#include <fmt/core.h>

#include "core/runtime/template/arithmetic.h"
#include "core/runtime/template/builtin.h"
#include "core/runtime/template/compare.h"
#include "core/runtime/template/interpreter.h"
#include "core/runtime/template/printing.h"
#include "core/runtime/template/text.h"

namespace mlxr::jinja {
namespace {

template <Kind kKind>
Result<Value> is_kind(Call& call) {
  return Value::boolean(call.self.kind() == kKind);
}

Result<Value> is_defined(Call& call) {
  return Value::boolean(!call.self.is_undefined());
}
Result<Value> is_number(Call& call) {
  return Value::boolean(call.self.is_numeric());
}
Result<Value> is_callable(Call& call) {
  return Value::boolean(call.self.is_object() && call.self.as_object().callable());
}
Result<Value> is_escaped(Call& call) {
  return Value::boolean(call.self.is_markup());
}

Result<Value> is_true(Call& call) {
  return Value::boolean(call.self.kind() == Kind::kBool && call.self.as_bool());
}
Result<Value> is_false(Call& call) {
  return Value::boolean(call.self.kind() == Kind::kBool && !call.self.as_bool());
}

Result<Value> is_sequence(Call& call) {
  const bool indexable = call.self.is_sequence() && call.self.as_sequence().traits().indexable;
  return Value::boolean(indexable || call.self.is_text() || call.self.is_mapping() || call.self.is_undefined());
}

Result<Value> is_iterable(Call& call) {
  return Value::boolean(call.self.is_sequence() || call.self.is_text() || call.self.is_mapping() ||
                        call.self.is_undefined());
}

Result<Value> divides(Call& call, const Value& divisor, std::int64_t wanted) {
  MLXR_ASSIGN_OR_RETURN(const Value rest, calculate(ArithmeticOp::kModulo, call.self, divisor, call.run.budget()));
  MLXR_ASSIGN_OR_RETURN(const bool same, equals(rest, Value::integer(static_cast<Integer>(wanted)), call.run.budget()));
  return Value::boolean(same);
}
Result<Value> is_odd(Call& call) {
  return divides(call, Value::integer(static_cast<Integer>(2)), 1);
}
Result<Value> is_even(Call& call) {
  return divides(call, Value::integer(static_cast<Integer>(2)), 0);
}
Result<Value> is_divisible(Call& call) {
  return divides(call, call.at(0), 0);
}

Result<Value> is_lower(Call& call) {
  MLXR_ASSIGN_OR_RETURN(const std::string text, to_text(call.self, call.run.budget()));
  return Value::boolean(text_is(text, TextClass::kLower));
}
Result<Value> is_upper(Call& call) {
  MLXR_ASSIGN_OR_RETURN(const std::string text, to_text(call.self, call.run.budget()));
  return Value::boolean(text_is(text, TextClass::kUpper));
}

Result<Value> boolean(const Result<bool>& result, bool negated = false) {
  if (!result.ok()) return result.status();
  return Value::boolean(*result != negated);
}
Result<Value> is_equal(Call& call) {
  return boolean(equals(call.self, call.at(0), call.run.budget()));
}
Result<Value> is_not_equal(Call& call) {
  return boolean(equals(call.self, call.at(0), call.run.budget()), true);
}
Result<Value> is_less(Call& call) {
  return boolean(less(call.self, call.at(0), call.run.budget()));
}
Result<Value> is_greater(Call& call) {
  return boolean(less(call.at(0), call.self, call.run.budget()));
}
Result<Value> is_at_most(Call& call) {
  MLXR_ASSIGN_OR_RETURN(const bool below, less(call.self, call.at(0), call.run.budget()));
  return below ? Result<Value>(Value::boolean(true)) : is_equal(call);
}
Result<Value> is_at_least(Call& call) {
  MLXR_ASSIGN_OR_RETURN(const bool above, less(call.at(0), call.self, call.run.budget()));
  return above ? Result<Value>(Value::boolean(true)) : is_equal(call);
}
Result<Value> is_in(Call& call) {
  return boolean(contains(call.at(0), call.self, call.run.budget()));
}

// Identity; for scalars and text that is equality of type and value.
Result<Value> is_same(Call& call) {
  const Value& a = call.self;
  const Value& b = call.at(0);
  if (a.kind() != b.kind()) return Value::boolean(false);
  if (a.is_sequence()) return Value::boolean(&a.as_sequence() == &b.as_sequence());
  if (a.is_mapping()) return Value::boolean(&a.as_mapping() == &b.as_mapping());
  return is_equal(call);
}

Result<Value> is_filter(Call& call) {
  return Value::boolean(call.self.is_text() && find_filter(call.self.as_text()) != nullptr);
}
Result<Value> is_test(Call& call) {
  return Value::boolean(call.self.is_text() && find_test(call.self.as_text()) != nullptr);
}

constexpr std::array<Builtin, 39> kTests = {{
    {"defined", "", is_defined},
    {"undefined", "", is_kind<Kind::kUndefined>},
    {"none", "", is_kind<Kind::kNone>},
    {"boolean", "", is_kind<Kind::kBool>},
    {"true", "", is_true},
    {"false", "", is_false},
    {"integer", "", is_kind<Kind::kInteger>},
    {"float", "", is_kind<Kind::kFloat>},
    {"number", "", is_number},
    {"string", "", is_kind<Kind::kText>},
    {"mapping", "", is_kind<Kind::kMapping>},
    {"sequence", "", is_sequence},
    {"iterable", "", is_iterable},
    {"callable", "", is_callable},
    {"escaped", "", is_escaped},
    {"lower", "", is_lower},
    {"upper", "", is_upper},
    {"odd", "", is_odd},
    {"even", "", is_even},
    {"divisibleby", "num", is_divisible},
    {"sameas", "other", is_same},
    {"in", "seq", is_in},
    {"filter", "", is_filter},
    {"test", "", is_test},
    {"==", "other", is_equal},
    {"eq", "other", is_equal},
    {"equalto", "other", is_equal},
    {"!=", "other", is_not_equal},
    {"ne", "other", is_not_equal},
    {"<", "other", is_less},
    {"lt", "other", is_less},
    {"lessthan", "other", is_less},
    {">", "other", is_greater},
    {"gt", "other", is_greater},
    {"greaterthan", "other", is_greater},
    {"<=", "other", is_at_most},
    {"le", "other", is_at_most},
    {">=", "other", is_at_least},
    {"ge", "other", is_at_least},
}};

}  // namespace

const Builtin* find_test(std::string_view name) {
  return find_builtin(kTests, name);
}

}  // namespace mlxr::jinja
