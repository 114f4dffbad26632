// Filters over sequences and mappings: order, grouping, first, last, aggregates. Source: Jinja 3.1's builtin filters.

#include <algorithm>
#include <array>

#include <fmt/core.h>

#include "core/runtime/template/access.h"
#include "core/runtime/template/arithmetic.h"
#include "core/runtime/template/builtin.h"
#include "core/runtime/template/compare.h"
#include "core/runtime/template/interpreter.h"
#include "core/runtime/template/text.h"

namespace mlxr::jinja {
namespace {

// Text compares without case unless asked otherwise.
Value folded(const Value& value, bool case_sensitive) {
  return !case_sensitive && value.is_text() ? Value::text(lower(value.as_text())) : value;
}

// What an item is ordered by: the item, or its attributes ("a.b,c"), as a list.
Result<Value> sort_key(Call& call, const Value& item, const Value& attribute, bool case_sensitive) {
  MLXR_RETURN_IF_ERROR(call.run.budget().scan(item.is_text() ? item.as_text().size() : 0));
  if (attribute.is_none()) return folded(item, case_sensitive);
  if (!attribute.is_text()) {
    MLXR_ASSIGN_OR_RETURN(const Value value, get_item(call.run, item, attribute));
    return folded(value, case_sensitive);
  }
  std::vector<Value> keys;
  for (const std::string_view path : split_at(attribute.as_text(), ",", -1, false)) {
    MLXR_ASSIGN_OR_RETURN(const Value value, get_path(call.run, item, Value::text(std::string(path))));
    keys.push_back(folded(value, case_sensitive));
  }
  return keys.size() == 1 ? std::move(keys.front()) : Value::list(std::move(keys));
}

struct Keyed {
  Value key;
  Value item;
};

// A stable sort whose comparisons may fail; the first failure is the result.
Status sort_keyed(std::vector<Keyed>& items, bool reverse, Budget& budget) {
  Status status;
  const auto before = [&](const Keyed& a, const Keyed& b) {
    if (!status.ok()) return false;
    const Result<bool> result = reverse ? less(b.key, a.key, budget) : less(a.key, b.key, budget);
    if (!result.ok()) status = result.status();
    return result.ok() && *result;
  };
  std::stable_sort(items.begin(), items.end(), before);
  return status;
}

Result<std::vector<Keyed>> keyed_items(Call& call, const Value& attribute, bool case_sensitive) {
  MLXR_ASSIGN_OR_RETURN(const Value items, iterate(call.run, call.self));
  MLXR_RETURN_IF_ERROR(call.run.budget().allocate(items.as_sequence().items.size(), sizeof(Keyed)));
  std::vector<Keyed> keyed;
  for (const Value& item : items.as_sequence().items) {
    MLXR_ASSIGN_OR_RETURN(Value key, sort_key(call, item, attribute, case_sensitive));
    keyed.push_back({std::move(key), item});
  }
  return keyed;
}

std::vector<Value> without_keys(std::vector<Keyed> keyed) {
  std::vector<Value> items;
  for (Keyed& entry : keyed)
    items.push_back(std::move(entry.item));
  return items;
}

Result<Value> filter_sort(Call& call) {
  MLXR_ASSIGN_OR_RETURN(std::vector<Keyed> items, keyed_items(call, call.value_or_none(2), call.flag(1, false)));
  MLXR_RETURN_IF_ERROR(sort_keyed(items, call.flag(0, false), call.run.budget()));
  return Value::list(without_keys(std::move(items)));
}

Result<Value> filter_dictsort(Call& call) {
  if (call.self.is_undefined()) return call.self.complaint();
  if (!call.self.is_mapping()) {
    return invalid_argument(fmt::format("'{}' object has no attribute 'items'", call.self.type_name()));
  }
  MLXR_ASSIGN_OR_RETURN(const std::string by, call.text(1, "key"));
  if (by != "key" && by != "value") return invalid_argument("You can only sort by either \"key\" or \"value\"");
  const auto& entries = call.self.as_mapping().entries;
  MLXR_RETURN_IF_ERROR(call.run.budget().allocate(entries.size(), sizeof(Keyed) + 2 * sizeof(Value)));
  std::vector<Keyed> items;
  for (const auto& [key, value] : entries) {
    items.push_back({folded(by == "key" ? key : value, call.flag(0, false)), Value::tuple({key, value})});
  }
  MLXR_RETURN_IF_ERROR(sort_keyed(items, call.flag(2, false), call.run.budget()));
  return Value::list(without_keys(std::move(items)));
}

Result<Value> filter_groupby(Call& call) {
  const bool case_sensitive = call.flag(2, false);
  MLXR_ASSIGN_OR_RETURN(const Value source, iterate(call.run, call.self));
  MLXR_RETURN_IF_ERROR(call.run.budget().allocate(source.as_sequence().items.size(), 2 * sizeof(Keyed)));
  std::vector<Keyed> items;
  for (const Value& item : source.as_sequence().items) {
    MLXR_ASSIGN_OR_RETURN(Value key, get_path(call.run, item, call.at(0)));
    if (key.is_undefined() && call.has(1)) key = call.at(1);
    items.push_back({folded(key, case_sensitive), item});
  }
  MLXR_RETURN_IF_ERROR(sort_keyed(items, false, call.run.budget()));
  std::vector<Value> groups;
  for (std::size_t i = 0; i < items.size();) {
    std::vector<Value> members;
    std::size_t end = i;
    for (bool same = true; same;) {
      members.push_back(items[end++].item);
      if (end == items.size()) break;
      MLXR_ASSIGN_OR_RETURN(same, equals(items[i].key, items[end].key, call.run.budget()));
    }
    Value name = items[i].key;
    if (!case_sensitive) {
      MLXR_ASSIGN_OR_RETURN(Value first, get_path(call.run, members.front(), call.at(0)));
      if (!first.is_undefined()) name = std::move(first);
    }
    groups.push_back(Value::sequence(SequenceType::kGroup, {std::move(name), Value::list(std::move(members))}));
    i = end;
  }
  return Value::list(std::move(groups));
}

Result<Value> filter_unique(Call& call) {
  MLXR_ASSIGN_OR_RETURN(std::vector<Keyed> items, keyed_items(call, call.value_or_none(1), call.flag(0, false)));
  std::unordered_map<std::string, bool> seen;
  std::vector<Value> kept;
  for (Keyed& entry : items) {
    MLXR_ASSIGN_OR_RETURN(std::string key, hash_key(entry.key));
    MLXR_RETURN_IF_ERROR(call.run.budget().allocate(key.size()));
    if (seen.try_emplace(std::move(key), true).second) kept.push_back(std::move(entry.item));
  }
  return Value::generator(std::move(kept));
}

Result<Value> extreme(Call& call, bool largest) {
  MLXR_ASSIGN_OR_RETURN(std::vector<Keyed> items, keyed_items(call, call.value_or_none(1), call.flag(0, false)));
  if (items.empty()) return Value::undefined("No aggregated item, sequence was empty.");
  std::size_t best = 0;
  for (std::size_t i = 1; i < items.size(); ++i) {
    const Keyed& a = largest ? items[best] : items[i];
    const Keyed& b = largest ? items[i] : items[best];
    MLXR_ASSIGN_OR_RETURN(const bool better, less(a.key, b.key, call.run.budget()));
    if (better) best = i;
  }
  return std::move(items[best].item);
}

Result<Value> filter_min(Call& call) {
  return extreme(call, false);
}
Result<Value> filter_max(Call& call) {
  return extreme(call, true);
}

Result<Value> filter_sum(Call& call) {
  MLXR_ASSIGN_OR_RETURN(const Value items, iterate(call.run, call.self));
  Value total = call.has(1) ? call.at(1) : Value::integer(static_cast<Integer>(0));
  for (const Value& item : items.as_sequence().items) {
    Value term = item;
    if (call.has(0) && !call.at(0).is_none()) {
      MLXR_ASSIGN_OR_RETURN(term, get_path(call.run, item, call.at(0)));
    }
    MLXR_ASSIGN_OR_RETURN(total, calculate(ArithmeticOp::kAdd, total, term, call.run.budget()));
  }
  return total;
}

Result<Value> filter_first(Call& call) {
  MLXR_ASSIGN_OR_RETURN(const Value items, iterate(call.run, call.self));
  if (items.as_sequence().items.empty()) return Value::undefined("No first item, sequence was empty.");
  return items.as_sequence().items.front();
}

Result<Value> filter_last(Call& call) {
  if (call.self.is_sequence() && call.self.as_sequence().traits().consumed) {
    return invalid_argument(fmt::format("'{}' object is not reversible", call.self.type_name()));
  }
  MLXR_ASSIGN_OR_RETURN(const Value items, iterate(call.run, call.self));
  if (items.as_sequence().items.empty()) return Value::undefined("No last item, sequence was empty.");
  return items.as_sequence().items.back();
}

Result<Value> filter_length(Call& call) {
  MLXR_ASSIGN_OR_RETURN(const std::size_t length, length_of(call.run, call.self));
  return Value::integer(length);
}

Result<Value> filter_list(Call& call) {
  MLXR_ASSIGN_OR_RETURN(const Value items, iterate(call.run, call.self));
  return items.is_list() ? items : Value::list(items.as_sequence().items);
}

Result<Value> filter_reverse(Call& call) {
  if (call.self.is_text()) {
    const Value none = Value::none();
    return get_slice(call.run, call.self, none, none, Value::integer(static_cast<Integer>(-1)));
  }
  MLXR_ASSIGN_OR_RETURN(const Value items, iterate(call.run, call.self));
  std::vector<Value> reversed(items.as_sequence().items.rbegin(), items.as_sequence().items.rend());
  return Value::sequence(SequenceType::kReversed, std::move(reversed));
}

Result<Value> filter_items(Call& call) {
  if (call.self.is_undefined()) return Value::generator({});
  if (!call.self.is_mapping()) return invalid_argument("Can only get item pairs from a mapping.");
  std::vector<Value> pairs;
  const auto& entries = call.self.as_mapping().entries;
  MLXR_RETURN_IF_ERROR(call.run.budget().allocate(entries.size(), 2 * sizeof(Value) + sizeof(Sequence)));
  for (const auto& [key, value] : entries)
    pairs.push_back(Value::tuple({key, value}));
  return Value::generator(std::move(pairs));
}

Result<Value> filter_attr(Call& call) {
  MLXR_ASSIGN_OR_RETURN(const std::string name, call.text(0, ""));
  // Attributes only: a key of a mapping does not count.
  if (call.self.is_mapping() && find_method(call.self, name) == nullptr) {
    return Value::undefined(fmt::format("{} has no attribute {}", call.self.described(), quoted(name)));
  }
  return get_attribute(call.run, call.self, name);
}

Result<Value> filter_default(Call& call) {
  const bool replaced = call.self.is_undefined() || (call.flag(1, false) && !call.self.truthy());
  if (!replaced) return call.self;
  return call.has(0) ? call.at(0) : Value::text("");
}

// Lists of `count` items; the last is filled up when there is something to fill with.
Result<Value> filter_batch(Call& call) {
  MLXR_ASSIGN_OR_RETURN(const std::int64_t count, call.integer(0, 1));
  MLXR_ASSIGN_OR_RETURN(const Value items, iterate(call.run, call.self));
  std::vector<Value> batches;
  std::vector<Value> batch;
  for (const Value& item : items.as_sequence().items) {
    if (static_cast<std::int64_t>(batch.size()) == count) batches.push_back(Value::list(std::exchange(batch, {})));
    MLXR_RETURN_IF_ERROR(call.run.budget().allocate(sizeof(Value)));
    batch.push_back(item);
  }
  if (!batch.empty()) {
    const auto wanted = static_cast<std::size_t>(std::max<std::int64_t>(count, 0));
    if (call.has(1) && !call.at(1).is_none() && batch.size() < wanted) {
      MLXR_RETURN_IF_ERROR(call.run.budget().allocate(wanted, sizeof(Value)));
      batch.resize(wanted, call.at(1));
    }
    batches.push_back(Value::list(std::move(batch)));
  }
  return Value::generator(std::move(batches));
}

// `slices` columns of nearly equal length.
Result<Value> filter_slice(Call& call) {
  MLXR_ASSIGN_OR_RETURN(const std::int64_t slices, call.integer(0, 1));
  if (slices <= 0) return invalid_argument("integer division or modulo by zero");
  MLXR_ASSIGN_OR_RETURN(const Value source, iterate(call.run, call.self));
  const auto& items = source.as_sequence().items;
  const auto columns = static_cast<std::size_t>(slices);
  MLXR_RETURN_IF_ERROR(call.run.budget().allocate(columns, sizeof(Value) + sizeof(Sequence)));
  MLXR_RETURN_IF_ERROR(call.run.budget().allocate(items.size(), sizeof(Value)));
  const std::size_t each = items.size() / columns;
  const std::size_t longer = items.size() % columns;
  std::vector<Value> made;
  std::size_t at = 0;
  for (std::size_t i = 0; i < columns; ++i) {
    const std::size_t count = each + (i < longer ? 1 : 0);
    const auto begin = items.begin() + static_cast<std::ptrdiff_t>(at);
    std::vector<Value> column(begin, begin + static_cast<std::ptrdiff_t>(count));
    if (call.has(1) && !call.at(1).is_none() && i >= longer) column.push_back(call.at(1));
    made.push_back(Value::list(std::move(column)));
    at += count;
  }
  return Value::generator(std::move(made));
}

constexpr std::array<Builtin, 19> kFilters = {{
    {"sort", "reverse? case_sensitive? attribute?", filter_sort},
    {"dictsort", "case_sensitive? by? reverse?", filter_dictsort},
    {"groupby", "attribute default? case_sensitive?", filter_groupby},
    {"unique", "case_sensitive? attribute?", filter_unique},
    {"min", "case_sensitive? attribute?", filter_min},
    {"max", "case_sensitive? attribute?", filter_max},
    {"sum", "attribute? start?", filter_sum},
    {"first", "", filter_first},
    {"last", "", filter_last},
    {"length", "", filter_length},
    {"count", "", filter_length},
    {"list", "", filter_list},
    {"reverse", "", filter_reverse},
    {"items", "", filter_items},
    {"attr", "name", filter_attr},
    {"default", "default_value? boolean?", filter_default},
    {"d", "default_value? boolean?", filter_default},
    {"batch", "linecount fill_with?", filter_batch},
    {"slice", "slices fill_with?", filter_slice},
}};

}  // namespace

std::span<const Builtin> sequence_filters() {
  return kFilters;
}

}  // namespace mlxr::jinja
