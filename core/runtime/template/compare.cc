#include "core/runtime/template/compare.h"

#include <cmath>

#include <fmt/core.h>

#include "core/runtime/template/printing.h"
#include "core/runtime/template/text.h"

namespace mlxr::jinja {
namespace {

constexpr std::size_t kMaxHashKey = 1U << 20;

Status append_hash_key(const Value& key, std::string& out) {
  if (out.size() > kMaxHashKey) return resource_exhausted("a mapping's key is too large");
  switch (key.kind()) {
    case Kind::kUndefined:
      out += 'u';
      return {};
    case Kind::kNone:
      out += 'n';
      return {};
    case Kind::kBool:
    case Kind::kInteger:
      out += 'i' + integer_text(key.as_integer());
      return {};
    case Kind::kFloat: {
      const double number = key.as_number();
      if (std::nearbyint(number) == number && std::fabs(number) < 0x1p62) {
        out += 'i' + integer_text(static_cast<Integer>(number));
      } else {
        out += 'f' + float_text(number);
      }
      return {};
    }
    case Kind::kText:
      out += 's';
      out += key.as_text();
      return {};
    case Kind::kSequence:
      if (!key.is_tuple()) break;
      out += fmt::format("t{}(", key.as_sequence().items.size());
      for (const Value& item : key.as_sequence().items) {
        std::string part;
        MLXR_RETURN_IF_ERROR(append_hash_key(item, part));
        out += fmt::format("{}:{}", part.size(), part);
        if (out.size() > kMaxHashKey) return resource_exhausted("a mapping's key is too large");
      }
      return {};
    case Kind::kMapping:
      break;
    case Kind::kObject:
      out += fmt::format("o{}", static_cast<const void*>(&key.as_object()));
      return {};
  }
  return invalid_argument("unhashable type: '" + key.type_name() + "'");
}

Result<bool> equal_items(const Sequence& a, const Sequence& b, Budget& budget) {
  if (a.items.size() != b.items.size()) return false;
  for (std::size_t i = 0; i < a.items.size(); ++i) {
    MLXR_ASSIGN_OR_RETURN(const bool same, equals(a.items[i], b.items[i], budget));
    if (!same) return false;
  }
  return true;
}

Result<bool> equal_entries(const Mapping& a, const Mapping& b, Budget& budget) {
  if (a.entries.size() != b.entries.size()) return false;
  for (const auto& [key, place] : a.places) {
    const auto other = b.places.find(key);
    if (other == b.places.end()) return false;
    MLXR_ASSIGN_OR_RETURN(const bool same, equals(a.entries[place].second, b.entries[other->second].second, budget));
    if (!same) return false;
  }
  return true;
}

// What may equal what: list only list, tuple any tuple, and so on.
bool comparable_sequences(const Value& a, const Value& b) {
  return (a.is_tuple() && b.is_tuple()) || a.as_sequence().type == b.as_sequence().type;
}

}  // namespace

std::string text_hash_key(std::string_view key) {
  std::string out;
  out.reserve(key.size() + 1);
  out += 's';
  out += key;
  return out;
}

Result<std::string> hash_key(const Value& key) {
  std::string out;
  MLXR_RETURN_IF_ERROR(append_hash_key(key, out));
  return out;
}

Result<bool> equals(const Value& a, const Value& b, Budget& budget) {
  MLXR_RETURN_IF_ERROR(budget.work(1));
  if (a.is_numeric() && b.is_numeric()) {
    if (a.is_integral() && b.is_integral()) return a.as_integer() == b.as_integer();
    return a.as_number() == b.as_number();
  }
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::kUndefined:
    case Kind::kNone:
      return true;
    case Kind::kText:
      if (a.as_text().size() != b.as_text().size()) return false;
      MLXR_RETURN_IF_ERROR(budget.scan(a.as_text().size()));
      return a.as_text() == b.as_text();
    case Kind::kSequence:
      if (&a.as_sequence() == &b.as_sequence()) return true;
      if (!comparable_sequences(a, b) || a.as_sequence().traits().consumed) return false;
      return equal_items(a.as_sequence(), b.as_sequence(), budget);
    case Kind::kMapping:
      if (&a.as_mapping() == &b.as_mapping()) return true;
      return equal_entries(a.as_mapping(), b.as_mapping(), budget);
    case Kind::kObject:
      return &a.as_object() == &b.as_object();
    default:
      return false;
  }
}

Result<bool> less(const Value& a, const Value& b, Budget& budget) {
  MLXR_RETURN_IF_ERROR(budget.work(1));
  if (a.is_numeric() && b.is_numeric()) {
    if (a.is_integral() && b.is_integral()) return a.as_integer() < b.as_integer();
    return a.as_number() < b.as_number();
  }
  if (a.is_text() && b.is_text()) {
    MLXR_RETURN_IF_ERROR(budget.scan(std::min(a.as_text().size(), b.as_text().size())));
    return a.as_text() < b.as_text();  // byte order of UTF-8 is code point order
  }
  if (a.is_undefined()) return a.complaint();
  if (b.is_undefined()) return b.complaint();
  if (a.is_sequence() && b.is_sequence() && comparable_sequences(a, b) && (a.is_list() || a.is_tuple())) {
    const auto& left = a.as_sequence().items;
    const auto& right = b.as_sequence().items;
    for (std::size_t i = 0; i < std::min(left.size(), right.size()); ++i) {
      MLXR_ASSIGN_OR_RETURN(const bool same, equals(left[i], right[i], budget));
      if (!same) return less(left[i], right[i], budget);
    }
    return left.size() < right.size();
  }
  return invalid_argument(
      fmt::format("'<' not supported between instances of '{}' and '{}'", a.type_name(), b.type_name()));
}

Result<bool> contains(const Value& container, const Value& item, Budget& budget) {
  switch (container.kind()) {
    case Kind::kText: {
      if (!item.is_text()) {
        return invalid_argument(fmt::format("'in <string>' requires string as left operand, not {}", item.type_name()));
      }
      MLXR_RETURN_IF_ERROR(budget.scan(container.as_text().size()));
      return find_text(container.as_text(), item.as_text()) != std::string::npos;
    }
    case Kind::kSequence: {
      const Sequence& sequence = container.as_sequence();
      if (sequence.used_up) return false;
      if (sequence.traits().consumed) sequence.used_up = true;
      for (const Value& candidate : sequence.items) {
        MLXR_ASSIGN_OR_RETURN(const bool same, equals(candidate, item, budget));
        if (same) return true;
      }
      return false;
    }
    case Kind::kMapping: {
      MLXR_ASSIGN_OR_RETURN(const std::string key, hash_key(item));
      MLXR_RETURN_IF_ERROR(budget.scan(key.size()));
      return container.as_mapping().places.contains(key);
    }
    case Kind::kUndefined:
      return false;
    default:
      return invalid_argument(fmt::format("argument of type '{}' is not iterable", container.type_name()));
  }
}

}  // namespace mlxr::jinja
