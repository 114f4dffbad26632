#include "core/runtime/template/access.h"

#include <algorithm>
#include <limits>

#include <fmt/core.h>

#include "core/runtime/template/builtin.h"
#include "core/runtime/template/compare.h"
#include "core/runtime/template/printing.h"
#include "core/runtime/template/text.h"

namespace mlxr::jinja {
namespace {

Value no_attribute(const Value& object, std::string_view name) {
  std::string described = object.described();
  if (described.front() != '\'') described = "'" + described + "'";
  return Value::undefined(fmt::format("{} has no attribute {}", described, quoted(name)));
}

Result<Value> no_item(Interpreter& run, const Value& object, const Value& index) {
  std::string shown;
  MLXR_RETURN_IF_ERROR(print_repr(index, run.budget(), shown));
  std::string described = object.described();
  std::erase(described, '\'');
  return Value::undefined(fmt::format("{} has no element {}", described, shown));
}

// The position in a sequence of `length` that Python's index means, or nullopt.
std::optional<std::size_t> place_of(Integer index, std::size_t length) {
  if (index < 0) index += static_cast<Integer>(length);
  if (index < 0 || index >= static_cast<Integer>(length)) return std::nullopt;
  return static_cast<std::size_t>(index);
}

struct SliceRange {
  std::int64_t start = 0;
  std::int64_t step = 1;
  std::size_t count = 0;
};

Result<std::optional<std::int64_t>> slice_bound(const Value& bound) {
  if (bound.is_none()) return std::optional<std::int64_t>();
  if (!bound.is_integral()) {
    return invalid_argument("slice indices must be integers or None or have an __index__ method");
  }
  constexpr auto kFar = static_cast<Integer>(1) << 60;
  return std::optional(static_cast<std::int64_t>(std::clamp(bound.as_integer(), -kFar, kFar)));
}

// Python's slice.indices.
Result<SliceRange> slice_range(std::size_t length, const Value& start, const Value& stop, const Value& step) {
  MLXR_ASSIGN_OR_RETURN(const auto first, slice_bound(start));
  MLXR_ASSIGN_OR_RETURN(const auto last, slice_bound(stop));
  MLXR_ASSIGN_OR_RETURN(const auto stride, slice_bound(step));
  SliceRange range;
  range.step = stride.value_or(1);
  if (range.step == 0) return invalid_argument("slice step cannot be zero");
  const auto size = static_cast<std::int64_t>(length);
  const bool forward = range.step > 0;
  const std::int64_t lowest = forward ? 0 : -1;
  const std::int64_t highest = forward ? size : size - 1;
  const auto place = [&](const std::optional<std::int64_t>& bound, std::int64_t fallback) {
    if (!bound) return fallback;
    return std::clamp(*bound < 0 ? *bound + size : *bound, lowest, highest);
  };
  range.start = place(first, forward ? lowest : highest);
  const std::int64_t end = place(last, forward ? highest : lowest);
  const std::int64_t distance = forward ? end - range.start : range.start - end;
  const std::int64_t stride_size = forward ? range.step : -range.step;
  if (distance > 0) range.count = static_cast<std::size_t>((distance - 1) / stride_size + 1);
  return range;
}

std::string slice_text(std::string_view text, const SliceRange& range) {
  if (range.count == 0) return {};
  if (range.step == 1) {
    const std::size_t begin = text_offset(text, static_cast<std::size_t>(range.start));
    const std::string_view tail = text.substr(begin);
    return std::string(tail.substr(0, text_offset(tail, range.count)));
  }
  const std::vector<std::string_view> points = text_points(text);
  std::string out;
  for (std::size_t i = 0; i < range.count; ++i) {
    out += points[static_cast<std::size_t>(range.start + static_cast<std::int64_t>(i) * range.step)];
  }
  return out;
}

Result<Value> text_item(Interpreter& run, const Value& object, Integer index, const Value& shown_index) {
  const std::string& text = object.as_text();
  MLXR_RETURN_IF_ERROR(run.budget().scan(text.size()));
  const auto place = place_of(index, text_length(text));
  if (!place) return no_item(run, object, shown_index);
  const std::string_view tail = std::string_view(text).substr(text_offset(text, *place));
  return Value::text(std::string(tail.substr(0, text_offset(tail, 1))));
}

Result<Value> bind_method(Interpreter& run, const Builtin& method, const Value& self) {
  MLXR_ASSIGN_OR_RETURN(BuiltinObject* const object, run.make_object<BuiltinObject>(method, self));
  return Value::object(object);
}

}  // namespace

Result<Value> get_attribute(Interpreter& run, const Value& object, std::string_view name) {
  if (object.is_undefined()) return object.complaint();
  if (object.is_object()) {
    MLXR_ASSIGN_OR_RETURN(std::optional<Value> found, object.as_object().attribute(run, name));
    return found ? std::move(*found) : no_attribute(object, name);
  }
  if (const Builtin* method = find_method(object, name)) return bind_method(run, *method, object);
  if (is_unsafe_attribute(object, name)) {
    return Value::undefined(
        fmt::format("access to attribute {} of '{}' object is unsafe.", quoted(name), object.type_name()));
  }
  if (object.is_mapping()) {
    MLXR_RETURN_IF_ERROR(run.budget().scan(name.size()));
    if (const Value* value = object.as_mapping().find(name)) return *value;
  }
  if (object.is_sequence() && object.as_sequence().type == SequenceType::kGroup) {
    if (name == "grouper") return object.as_sequence().items[0];
    if (name == "list") return object.as_sequence().items[1];
  }
  return no_attribute(object, name);
}

Result<Value> get_item(Interpreter& run, const Value& object, const Value& index) {
  if (object.is_undefined()) return object.complaint();
  if (object.is_mapping()) {
    Result<std::string> key = hash_key(index);
    if (key.ok()) {
      MLXR_RETURN_IF_ERROR(run.budget().scan(key->size()));
      const auto& places = object.as_mapping().places;
      const auto place = places.find(*key);
      if (place != places.end()) return object.as_mapping().entries[place->second].second;
    }
  } else if (object.is_sequence() && object.as_sequence().traits().indexable && index.is_integral()) {
    const auto& items = object.as_sequence().items;
    const auto place = place_of(index.as_integer(), items.size());
    return place ? Result<Value>(items[*place]) : no_item(run, object, index);
  } else if (object.is_text() && index.is_integral()) {
    return text_item(run, object, index.as_integer(), index);
  }
  if (index.is_text()) {
    const std::string& name = index.as_text();
    // The key has been looked for: what is left are methods and the attributes of objects.
    if (object.is_mapping() && find_method(object, name) == nullptr && !is_unsafe_attribute(object, name)) {
      return no_attribute(object, name);
    }
    return get_attribute(run, object, name);
  }
  return no_item(run, object, index);
}

Result<Value> get_slice(Interpreter& run, const Value& object, const Value& start, const Value& stop,
                        const Value& step) {
  if (object.is_undefined()) return object.complaint();
  if (object.is_text()) {
    MLXR_RETURN_IF_ERROR(run.budget().scan(object.as_text().size()));
    MLXR_ASSIGN_OR_RETURN(const SliceRange range, slice_range(text_length(object.as_text()), start, stop, step));
    if (range.step != 1) MLXR_RETURN_IF_ERROR(run.budget().allocate(object.as_text().size(), sizeof(std::string_view)));
    return Value::text(slice_text(object.as_text(), range));
  }
  if (object.is_sequence() && object.as_sequence().traits().indexable) {
    const Sequence& sequence = object.as_sequence();
    MLXR_ASSIGN_OR_RETURN(const SliceRange range, slice_range(sequence.items.size(), start, stop, step));
    MLXR_RETURN_IF_ERROR(run.budget().allocate(range.count, sizeof(Value)));
    std::vector<Value> items;
    items.reserve(range.count);
    for (std::size_t i = 0; i < range.count; ++i) {
      const std::int64_t place = range.start + static_cast<std::int64_t>(i) * range.step;
      items.push_back(sequence.items[static_cast<std::size_t>(place)]);
    }
    const bool group = sequence.type == SequenceType::kGroup;
    return Value::sequence(group ? SequenceType::kTuple : sequence.type, std::move(items));
  }
  if (object.is_mapping()) return invalid_argument("unhashable type: 'slice'");
  return invalid_argument(fmt::format("'{}' object is not subscriptable", object.type_name()));
}

Result<Value> iterate(Interpreter& run, const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return Value::list({});
    case Kind::kText: {
      MLXR_RETURN_IF_ERROR(run.budget().allocate(value.as_text().size(), sizeof(Value) + sizeof(Text)));
      std::vector<Value> items;
      for (const std::string_view point : text_points(value.as_text()))
        items.push_back(Value::text(std::string(point)));
      return Value::list(std::move(items));
    }
    case Kind::kSequence: {
      const Sequence& sequence = value.as_sequence();
      if (!sequence.traits().consumed) return value;
      if (std::exchange(sequence.used_up, true)) return Value::list({});
      return value;
    }
    case Kind::kMapping: {
      MLXR_RETURN_IF_ERROR(run.budget().allocate(value.as_mapping().entries.size(), sizeof(Value)));
      std::vector<Value> keys;
      for (const auto& [key, item] : value.as_mapping().entries)
        keys.push_back(key);
      return Value::list(std::move(keys));
    }
    default:
      return invalid_argument(fmt::format("'{}' object is not iterable", value.type_name()));
  }
}

Result<std::size_t> length_of(Interpreter& run, const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return std::size_t{0};
    case Kind::kText:
      MLXR_RETURN_IF_ERROR(run.budget().scan(value.as_text().size()));
      return text_length(value.as_text());
    case Kind::kSequence:
      if (!value.as_sequence().traits().has_length) break;
      return value.as_sequence().items.size();
    case Kind::kMapping:
      return value.as_mapping().entries.size();
    default:
      break;
  }
  return invalid_argument(fmt::format("object of type '{}' has no len()", value.type_name()));
}

Result<Value> get_path(Interpreter& run, const Value& object, const Value& path) {
  if (!path.is_text()) return get_item(run, object, path);
  Value value = object;
  for (const std::string_view part : split_at(path.as_text(), ".", -1, false)) {
    const bool digits = !part.empty() && part.size() < 10 &&
                        std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
    const Value index =
        digits ? Value::integer(static_cast<Integer>(std::stol(std::string(part)))) : Value::text(std::string(part));
    MLXR_ASSIGN_OR_RETURN(value, get_item(run, value, index));
  }
  return value;
}

}  // namespace mlxr::jinja
