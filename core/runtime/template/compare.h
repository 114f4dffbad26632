#pragma once
// Equality, order, membership and hashing of values, as Python defines them. Nested values are walked within the
// budget: shared sub-values make a small value look exponentially large.

#include <string>
#include <string_view>

#include "core/base/status.h"
#include "core/runtime/template/budget.h"
#include "core/runtime/template/value.h"

namespace mlxr::jinja {

// One string for each class of equal keys: 1, 1.0 and True share theirs. Fails for unhashable values (lists, mappings).
Result<std::string> hash_key(const Value& key);
std::string text_hash_key(std::string_view key);

Result<bool> equals(const Value& a, const Value& b, Budget& budget);
// a < b; a TypeError for kinds without an order between them.
Result<bool> less(const Value& a, const Value& b, Budget& budget);
// `item in container`.
Result<bool> contains(const Value& container, const Value& item, Budget& budget);

}  // namespace mlxr::jinja
