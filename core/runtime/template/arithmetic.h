#pragma once
// Python's arithmetic operators on values. Integers that leave 128 bits are an error; int / int is a float.

#include "core/base/status.h"
#include "core/runtime/template/budget.h"
#include "core/runtime/template/syntax.h"
#include "core/runtime/template/value.h"

namespace mlxr::jinja {

Result<Value> calculate(ArithmeticOp op, const Value& a, const Value& b, Budget& budget);
Result<Value> negate(const Value& value);
Result<Value> plus(const Value& value);

// &, <, >, ' and " as HTML entities.
std::string escape_html(std::string_view text);

}  // namespace mlxr::jinja
