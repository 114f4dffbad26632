#pragma once
// Values as text: Python's str and repr, and JSON as Hugging Face's tojson filter writes it.

#include <optional>
#include <string>

#include "core/base/status.h"
#include "core/runtime/template/budget.h"
#include "core/runtime/template/value.h"

namespace mlxr::jinja {

std::string integer_text(Integer value);
// Python's repr of a float: the shortest digits that read back as the same number.
std::string float_text(double value);
// `digits` digits after the point, correctly rounded.
std::string fixed_text(double value, int digits);

// Appends str(value); undefined prints as nothing.
Status print(const Value& value, Budget& budget, std::string& out);
Status print_repr(const Value& value, Budget& budget, std::string& out);
Result<std::string> to_text(const Value& value, Budget& budget);

// json.dumps's arguments.
struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  std::optional<std::string> indent;  // one level; none: a single line
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};
Status print_json(const Value& value, const JsonStyle& style, Budget& budget, std::string& out);

}  // namespace mlxr::jinja
