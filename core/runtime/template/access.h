#pragma once
// Attributes, subscripts, slices and iteration with Jinja's rules: object.name looks for a method first and a key next,
// object['name'] the other way round; what is not there is undefined, not an error.

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/base/status.h"
#include "core/runtime/template/interpreter.h"
#include "core/runtime/template/value.h"

namespace mlxr::jinja {

Result<Value> get_attribute(Interpreter& run, const Value& object, std::string_view name);
Result<Value> get_item(Interpreter& run, const Value& object, const Value& index);
// Each bound is an integer or none.
Result<Value> get_slice(Interpreter& run, const Value& object, const Value& start, const Value& stop,
                        const Value& step);

// What a for loop sees, as a sequence value: characters, items, keys. Uses up a generator.
Result<Value> iterate(Interpreter& run, const Value& value);
// len(value).
Result<std::size_t> length_of(Interpreter& run, const Value& value);

// "a.b.0" from a value, the way map(attribute=...) reads it.
Result<Value> get_path(Interpreter& run, const Value& object, const Value& path);

}  // namespace mlxr::jinja
