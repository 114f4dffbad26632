// Methods of lists, tuples and mappings, and which attributes the sandbox refuses: whatever would change a value.

#include <algorithm>
#include <array>

#include <fmt/core.h>

#include "core/runtime/template/builtin.h"
#include "core/runtime/template/compare.h"
#include "core/runtime/template/interpreter.h"
#include "core/runtime/template/printing.h"

namespace mlxr::jinja {
namespace {

const Mapping& self_mapping(const Call& call) {
  return call.self.as_mapping();
}

Result<Value> mapping_get(Call& call) {
  MLXR_ASSIGN_OR_RETURN(const std::string key, hash_key(call.at(0)));
  const auto place = self_mapping(call).places.find(key);
  if (place == self_mapping(call).places.end()) return call.value_or_none(1);
  return self_mapping(call).entries[place->second].second;
}

Result<Value> mapping_items(Call& call) {
  const auto& entries = self_mapping(call).entries;
  MLXR_RETURN_IF_ERROR(call.run.budget().allocate(entries.size(), 2 * sizeof(Value) + sizeof(Sequence)));
  std::vector<Value> pairs;
  for (const auto& [key, value] : entries)
    pairs.push_back(Value::tuple({key, value}));
  return Value::sequence(SequenceType::kDictItems, std::move(pairs));
}

Result<Value> mapping_keys(Call& call) {
  std::vector<Value> keys;
  for (const auto& [key, value] : self_mapping(call).entries)
    keys.push_back(key);
  return Value::sequence(SequenceType::kDictKeys, std::move(keys));
}

Result<Value> mapping_values(Call& call) {
  std::vector<Value> values;
  for (const auto& [key, value] : self_mapping(call).entries)
    values.push_back(value);
  return Value::sequence(SequenceType::kDictValues, std::move(values));
}

Result<Value> itself(Call& call) {
  return call.self;
}

Result<Value> sequence_count(Call& call) {
  Integer count = 0;
  for (const Value& item : call.self.as_sequence().items) {
    MLXR_ASSIGN_OR_RETURN(const bool same, equals(item, call.at(0), call.run.budget()));
    count += same ? 1 : 0;
  }
  return Value::integer(count);
}

Result<Value> sequence_index(Call& call) {
  const auto& items = call.self.as_sequence().items;
  const auto size = static_cast<std::int64_t>(items.size());
  MLXR_ASSIGN_OR_RETURN(std::int64_t start, call.integer(1, 0));
  MLXR_ASSIGN_OR_RETURN(std::int64_t end, call.integer(2, size));
  start = std::max<std::int64_t>(start < 0 ? start + size : start, 0);
  end = std::min(end < 0 ? end + size : end, size);
  for (std::int64_t i = start; i < end; ++i) {
    MLXR_ASSIGN_OR_RETURN(const bool same, equals(items[static_cast<std::size_t>(i)], call.at(0), call.run.budget()));
    if (same) return Value::integer(static_cast<Integer>(i));
  }
  std::string shown;
  MLXR_RETURN_IF_ERROR(print_repr(call.at(0), call.run.budget(), shown));
  return invalid_argument(fmt::format("{} is not in {}", shown, call.self.type_name()));
}

constexpr std::array<Builtin, 5> kMappingMethods = {{
    {"get", "key default?", mapping_get},
    {"items", "", mapping_items},
    {"keys", "", mapping_keys},
    {"values", "", mapping_values},
    {"copy", "", itself},
}};
constexpr std::array<Builtin, 3> kListMethods = {{
    {"count", "value", sequence_count},
    {"index", "value start? stop?", sequence_index},
    {"copy", "", itself},
}};
constexpr std::array<std::string_view, 8> kListChanges = {"append", "clear",  "extend",  "insert",
                                                          "pop",    "remove", "reverse", "sort"};
constexpr std::array<std::string_view, 5> kMappingChanges = {"clear", "pop", "popitem", "setdefault", "update"};

template <class Names>
bool holds(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

const Builtin* find_method(const Value& self, std::string_view name) {
  if (self.is_text()) return find_builtin(text_methods(), name);
  if (self.is_mapping()) return find_builtin(kMappingMethods, name);
  if (!self.is_sequence() || !self.as_sequence().traits().indexable) return nullptr;
  const Builtin* method = find_builtin(kListMethods, name);
  return method != nullptr && (self.is_list() || name != "copy") ? method : nullptr;
}

bool is_unsafe_attribute(const Value& self, std::string_view name) {
  if (name.starts_with("__")) return true;
  if (self.is_list()) return holds(kListChanges, name);
  if (self.is_mapping()) return holds(kMappingChanges, name);
  return false;
}

}  // namespace mlxr::jinja
