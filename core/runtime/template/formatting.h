#pragma once
// Python's two formatting languages: "%s is %05.2f" % values, and "{} is {:>8}".format(values).

#include <string_view>

#include "core/base/status.h"
#include "core/runtime/template/budget.h"
#include "core/runtime/template/value.h"

namespace mlxr::jinja {

class Interpreter;

// `values` is a tuple, a mapping for %(name)s, or the only value.
Result<Value> format_percent(std::string_view format, const Value& values, Budget& budget);
Result<Value> format_braces(Interpreter& run, std::string_view format, const Arguments& arguments);

}  // namespace mlxr::jinja
