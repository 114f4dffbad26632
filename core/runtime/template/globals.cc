// Functions that every template can call: Jinja's range, dict, namespace, cycler and joiner, and Hugging Face's
// raise_exception and strftime_now.

#include <array>

#include <fmt/core.h>

#include "core/runtime/template/access.h"
#include "core/runtime/template/builtin.h"
#include "core/runtime/template/date_text.h"
#include "core/runtime/template/interpreter.h"
#include "core/runtime/template/objects.h"

namespace mlxr::jinja {
namespace {

Result<Value> global_range(Call& call) {
  constexpr std::int64_t kMaxRange = 100'000;
  for (std::size_t i = 0; i < 3; ++i) {
    if (call.has(i) && call.at(i).is_none()) {
      return invalid_argument("'NoneType' object cannot be interpreted as an integer");
    }
  }
  MLXR_ASSIGN_OR_RETURN(std::int64_t start, call.integer(0, 0));
  MLXR_ASSIGN_OR_RETURN(std::int64_t stop, call.integer(1, 0));
  MLXR_ASSIGN_OR_RETURN(const std::int64_t step, call.integer(2, 1));
  if (!call.has(1)) stop = std::exchange(start, 0);
  if (step == 0) return invalid_argument("range() arg 3 must not be zero");
  const Integer distance = step > 0 ? static_cast<Integer>(stop) - start : static_cast<Integer>(start) - stop;
  const Integer stride = step > 0 ? static_cast<Integer>(step) : -static_cast<Integer>(step);
  const Integer count = distance > 0 ? (distance - 1) / stride + 1 : 0;
  if (count > kMaxRange) {
    return invalid_argument(
        fmt::format("Range too big. The sandbox blocks ranges larger than MAX_RANGE ({}).", kMaxRange));
  }
  std::vector<Value> items;
  items.reserve(static_cast<std::size_t>(count));
  for (Integer i = 0; i < count; ++i)
    items.push_back(Value::integer(start + i * step));
  return Value::sequence(SequenceType::kRange, std::move(items));
}

// The entries that dict() and namespace() start from: a mapping or pairs, then the named arguments.
Result<std::vector<Value::Entry>> entries_of(Call& call) {
  std::vector<Value::Entry> entries;
  if (call.all.positional.size() > 1) {
    return invalid_argument(
        fmt::format("{} expected at most 1 argument, got {}", call.name, call.all.positional.size()));
  }
  if (!call.all.positional.empty()) {
    const Value& source = call.all.positional[0];
    if (source.is_mapping()) {
      MLXR_RETURN_IF_ERROR(call.run.budget().allocate(source.as_mapping().entries.size(), sizeof(Value::Entry)));
      entries = source.as_mapping().entries;
    } else {
      MLXR_ASSIGN_OR_RETURN(const Value items, iterate(call.run, source));
      MLXR_RETURN_IF_ERROR(call.run.budget().allocate(items.as_sequence().items.size(), sizeof(Value::Entry)));
      for (const Value& item : items.as_sequence().items) {
        MLXR_ASSIGN_OR_RETURN(const Value pair, iterate(call.run, item));
        const auto& parts = pair.as_sequence().items;
        if (parts.size() != 2) {
          return invalid_argument(
              fmt::format("dictionary update sequence element has length {}; 2 is required", parts.size()));
        }
        entries.emplace_back(parts[0], parts[1]);
      }
    }
  }
  for (const auto& [name, value] : call.all.named)
    entries.emplace_back(Value::text(name), value);
  return entries;
}

Result<Value> global_dict(Call& call) {
  MLXR_ASSIGN_OR_RETURN(std::vector<Value::Entry> entries, entries_of(call));
  return Value::mapping(std::move(entries));
}

Result<Value> global_namespace(Call& call) {
  MLXR_ASSIGN_OR_RETURN(std::vector<Value::Entry> entries, entries_of(call));
  MLXR_ASSIGN_OR_RETURN(Namespace* const made, call.run.make_object<Namespace>());
  for (auto& [name, value] : entries) {
    MLXR_RETURN_IF_ERROR(call.run.budget().work(1 + entries.size() / 8));
    if (name.is_text()) made->set(name.as_text(), std::move(value));
  }
  return Value::object(made);
}

Result<Value> global_cycler(Call& call) {
  if (call.all.positional.empty()) return invalid_argument("at least one item has to be provided");
  MLXR_ASSIGN_OR_RETURN(Cycler* const made, call.run.make_object<Cycler>(call.all.positional));
  return Value::object(made);
}

Result<Value> global_joiner(Call& call) {
  Value separator = call.has(0) ? call.at(0) : Value::text(", ");
  MLXR_ASSIGN_OR_RETURN(Joiner* const made, call.run.make_object<Joiner>(std::move(separator)));
  return Value::object(made);
}

Result<Value> global_raise_exception(Call& call) {
  MLXR_ASSIGN_OR_RETURN(std::string message, call.text(0, ""));
  return invalid_argument(std::move(message));
}

Result<Value> global_strftime_now(Call& call) {
  MLXR_ASSIGN_OR_RETURN(const std::string_view format, call.string_argument(0));
  constexpr std::size_t kLongestDirective = 32;
  MLXR_RETURN_IF_ERROR(call.run.budget().allocate(format.size(), kLongestDirective));
  return Value::text(date_text(format, call.run.now()));
}

constexpr std::array<Builtin, 7> kGlobals = {{
    {"range", "start stop? step?", global_range},
    {"dict", "*", global_dict},
    {"namespace", "*", global_namespace},
    {"cycler", "*", global_cycler},
    {"joiner", "sep?", global_joiner},
    {"raise_exception", "message", global_raise_exception},
    {"strftime_now", "format", global_strftime_now},
}};

}  // namespace

const Builtin* find_global(std::string_view name) {
  return find_builtin(kGlobals, name);
}

}  // namespace mlxr::jinja
