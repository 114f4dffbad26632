#include "core/runtime/template/builtin.h"

#include <algorithm>
#include <limits>

#include <fmt/core.h>

#include "core/base/check.h"
#include "core/runtime/template/interpreter.h"
#include "core/runtime/template/printing.h"

namespace mlxr::jinja {
namespace {

struct ParameterList {
  std::array<std::string_view, Call::kMaxParameters> names;
  std::size_t count = 0;
  std::size_t required = 0;
};

ParameterList parameter_list(std::string_view text) {
  ParameterList list;
  while (!text.empty()) {
    const std::size_t space = std::min(text.find(' '), text.size());
    std::string_view name = text.substr(0, space);
    text.remove_prefix(std::min(space + 1, text.size()));
    if (name.back() == '?') {
      name.remove_suffix(1);
    } else {
      list.required = list.count + 1;
    }
    MLXR_CHECK(list.count < Call::kMaxParameters, "too many parameters");
    list.names[list.count++] = name;
  }
  return list;
}

Status bind(const Builtin& builtin, const Arguments& arguments, Call& call) {
  if (builtin.parameters == "*") return {};
  const ParameterList list = parameter_list(builtin.parameters);
  if (arguments.positional.size() > list.count) {
    return invalid_argument(fmt::format("{}() takes at most {} arguments ({} given)", builtin.name, list.count,
                                        arguments.positional.size()));
  }
  for (std::size_t i = 0; i < arguments.positional.size(); ++i)
    call.slots[i] = &arguments.positional[i];
  for (const auto& [name, value] : arguments.named) {
    const auto* const end = list.names.begin() + list.count;
    const auto* const place = std::find(list.names.begin(), end, name);
    if (place == end) {
      return invalid_argument(fmt::format("{}() got an unexpected keyword argument '{}'", builtin.name, name));
    }
    const Value*& slot = call.slots[static_cast<std::size_t>(place - list.names.begin())];
    if (slot != nullptr) {
      return invalid_argument(fmt::format("{}() got multiple values for argument '{}'", builtin.name, name));
    }
    slot = &value;
  }
  for (std::size_t i = 0; i < list.required; ++i) {
    if (call.slots[i] == nullptr) {
      return invalid_argument(fmt::format("{}() missing a required argument: '{}'", builtin.name, list.names[i]));
    }
  }
  return {};
}

// Functions may pass over their text a few times.
std::size_t text_bytes(const Value& value) {
  return value.is_text() ? value.as_text().size() : 0;
}

}  // namespace

Result<std::string> Call::text(std::size_t i, std::string_view fallback) const {
  if (!has(i)) return std::string(fallback);
  return to_text(at(i), run.budget());
}

Result<std::int64_t> Call::integer(std::size_t i, std::int64_t fallback) const {
  if (!has(i) || at(i).is_none()) return fallback;
  if (at(i).is_undefined()) return at(i).complaint();
  if (!at(i).is_integral()) {
    return invalid_argument(fmt::format("'{}' object cannot be interpreted as an integer", at(i).type_name()));
  }
  using Limits = std::numeric_limits<std::int64_t>;
  return static_cast<std::int64_t>(
      std::clamp(at(i).as_integer(), static_cast<Integer>(Limits::min()), static_cast<Integer>(Limits::max())));
}

Result<std::string_view> Call::string_argument(std::size_t i) const {
  if (at(i).is_undefined()) return at(i).complaint();
  if (!at(i).is_text()) {
    return invalid_argument(fmt::format("{}() argument must be str, not {}", name, at(i).type_name()));
  }
  return std::string_view(at(i).as_text());
}

Result<Value> invoke(const Builtin& builtin, Interpreter& run, const Value& self, const Arguments& arguments) {
  Call call(run, self, arguments);
  call.name = builtin.name;
  MLXR_RETURN_IF_ERROR(bind(builtin, arguments, call));
  std::size_t bytes = text_bytes(self);
  for (const Value& value : arguments.positional)
    bytes += text_bytes(value);
  MLXR_RETURN_IF_ERROR(run.budget().scan(2 * bytes));
  MLXR_ASSIGN_OR_RETURN(Value result, builtin.function(call));
  return run.admit(std::move(result));
}

const Builtin* find_builtin(std::span<const Builtin> table, std::string_view name) {
  const auto row = std::find_if(table.begin(), table.end(), [&](const Builtin& entry) { return entry.name == name; });
  return row == table.end() ? nullptr : &*row;
}

const Builtin* find_filter(std::string_view name) {
  for (const auto table : {text_filters(), sequence_filters(), selection_filters(), number_filters()}) {
    if (const Builtin* row = find_builtin(table, name)) return row;
  }
  return nullptr;
}

std::string BuiltinObject::printed() const {
  return fmt::format("<built-in method {}>", builtin_.name);
}

Result<std::optional<Value>> BuiltinObject::attribute(Interpreter& /*run*/, std::string_view /*name*/) {
  return std::optional<Value>();
}

Result<Value> BuiltinObject::call(Interpreter& run, const Arguments& arguments) {
  return invoke(builtin_, run, self_, arguments);
}

}  // namespace mlxr::jinja
