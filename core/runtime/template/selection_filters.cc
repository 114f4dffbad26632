// map, select, reject and their attribute forms. Jinja makes them generators: always true, without a length, used once.

#include <array>

#include "core/runtime/template/access.h"
#include "core/runtime/template/builtin.h"
#include "core/runtime/template/interpreter.h"

namespace mlxr::jinja {
namespace {

// The arguments from `from` on, for the filter or test that is named by the one before.
Arguments tail(const Arguments& arguments, std::size_t from) {
  Arguments rest;
  for (std::size_t i = from; i < arguments.positional.size(); ++i)
    rest.positional.push_back(arguments.positional[i]);
  rest.named = arguments.named;
  return rest;
}

Result<std::string> name_at(const Call& call, std::size_t i) {
  const Value& name = call.all.positional[i];
  if (!name.is_text()) return invalid_argument(std::string(call.name) + "() needs the name of a filter or test");
  return name.as_text();
}

Result<Value> map_attribute(Call& call, const Value& attribute, const Value& items) {
  const Value* fallback = call.all.find_named("default");
  std::vector<Value> mapped;
  for (const Value& item : items.as_sequence().items) {
    MLXR_ASSIGN_OR_RETURN(Value value, get_path(call.run, item, attribute));
    if (value.is_undefined() && fallback != nullptr) value = *fallback;
    mapped.push_back(std::move(value));
  }
  return Value::generator(std::move(mapped));
}

Result<Value> filter_map(Call& call) {
  if (!call.self.truthy()) return Value::generator({});  // none and false count as nothing to map
  MLXR_ASSIGN_OR_RETURN(const Value items, iterate(call.run, call.self));
  MLXR_RETURN_IF_ERROR(call.run.budget().allocate(items.as_sequence().items.size(), sizeof(Value)));
  if (call.all.positional.empty()) {
    const Value* attribute = call.all.find_named("attribute");
    if (attribute == nullptr) return invalid_argument("map requires a filter argument");
    return map_attribute(call, *attribute, items);
  }
  MLXR_ASSIGN_OR_RETURN(const std::string filter, name_at(call, 0));
  const Arguments arguments = tail(call.all, 1);
  std::vector<Value> mapped;
  for (const Value& item : items.as_sequence().items) {
    MLXR_ASSIGN_OR_RETURN(Value value, call.run.filter(filter, item, arguments));
    mapped.push_back(std::move(value));
  }
  return Value::generator(std::move(mapped));
}

// Items for which (the attribute of) the item passes the test, or fails it.
Result<Value> selected(Call& call, bool by_attribute, bool wanted) {
  if (!call.self.truthy()) return Value::generator({});
  const std::size_t test_at = by_attribute ? 1 : 0;
  if (by_attribute && call.all.positional.empty()) return invalid_argument("Missing parameter for attribute name");
  MLXR_ASSIGN_OR_RETURN(const Value items, iterate(call.run, call.self));
  MLXR_RETURN_IF_ERROR(call.run.budget().allocate(items.as_sequence().items.size(), sizeof(Value)));
  const bool has_test = call.all.positional.size() > test_at;
  std::string test;
  if (has_test) {
    MLXR_ASSIGN_OR_RETURN(test, name_at(call, test_at));
  }
  const Arguments arguments = tail(call.all, test_at + 1);
  std::vector<Value> kept;
  for (const Value& item : items.as_sequence().items) {
    Value tested = item;
    if (by_attribute) {
      MLXR_ASSIGN_OR_RETURN(tested, get_path(call.run, item, call.all.positional[0]));
    }
    bool passes = tested.truthy();
    if (has_test) {
      MLXR_ASSIGN_OR_RETURN(passes, call.run.test(test, tested, arguments));
    }
    if (passes == wanted) kept.push_back(item);
  }
  return Value::generator(std::move(kept));
}

Result<Value> filter_select(Call& call) {
  return selected(call, false, true);
}
Result<Value> filter_reject(Call& call) {
  return selected(call, false, false);
}
Result<Value> filter_selectattr(Call& call) {
  return selected(call, true, true);
}
Result<Value> filter_rejectattr(Call& call) {
  return selected(call, true, false);
}

constexpr std::array<Builtin, 5> kFilters = {{
    {"map", "*", filter_map},
    {"select", "*", filter_select},
    {"reject", "*", filter_reject},
    {"selectattr", "*", filter_selectattr},
    {"rejectattr", "*", filter_rejectattr},
}};

}  // namespace

std::span<const Builtin> selection_filters() {
  return kFilters;
}

}  // namespace mlxr::jinja
