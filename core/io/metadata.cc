#include "core/io/metadata.h"

#include <limits>
#include <type_traits>

#include <fmt/core.h>

#include "core/base/checked.h"
#include "core/io/byte_reader.h"

namespace mlxr {
namespace {

template <class T>
constexpr bool kIsInteger = std::is_integral_v<T> && !std::is_same_v<T, bool>;
template <class T>
constexpr bool kIsNumber = kIsInteger<T> || std::is_floating_point_v<T>;

template <class T>
struct ElementOf {
  using type = void;
};
template <class T>
struct ElementOf<std::vector<T>> {
  using type = T;
};
template <>
struct ElementOf<MetadataBools> {
  using type = bool;
};
template <>
struct ElementOf<MetadataStrings> {
  using type = std::string_view;
};
template <class T>
constexpr bool kIsArray = !std::is_void_v<typename ElementOf<T>::type>;

template <class T>
const std::vector<T>& elements(const std::vector<T>& array) {
  return array;
}
const std::vector<std::uint8_t>& elements(const MetadataBools& array) {
  return array.values;
}
const std::vector<std::string_view>& elements(const MetadataStrings& array) {
  return array.values;
}

template <class T>
std::string scalar_type_name() {
  if constexpr (std::is_same_v<T, bool>) return "bool";
  if constexpr (kIsInteger<T>) return fmt::format("{}{}", std::is_signed_v<T> ? 'i' : 'u', 8 * sizeof(T));
  if constexpr (std::is_floating_point_v<T>) return fmt::format("f{}", 8 * sizeof(T));
  return "str";
}

template <class T>
std::string scalar_text(const T& value, std::size_t max_characters) {
  if constexpr (kIsNumber<T>) {
    return fmt::format("{}", +value);
  } else if constexpr (std::is_same_v<T, bool>) {
    return value ? "true" : "false";
  } else {
    const std::string_view text = value;
    if (text.size() <= max_characters) return quote_name(text);
    return fmt::format("{} ({} bytes)", quote_name(text.substr(0, max_characters)), text.size());
  }
}

template <class To>
std::optional<To> integer_of(const MetadataValue* value) {
  if (value == nullptr) return std::nullopt;
  return std::visit(
      [](const auto& v) -> std::optional<To> {
        if constexpr (kIsInteger<std::decay_t<decltype(v)>>) return checked_cast<To>(v);
        return std::nullopt;
      },
      *value);
}

}  // namespace

MetadataStrings::MetadataStrings(std::vector<std::string> strings) {
  auto owned = std::make_shared<const std::vector<std::string>>(std::move(strings));
  values.assign(owned->begin(), owned->end());
  keepalive = std::move(owned);
}

std::string metadata_type_name(const MetadataValue& value) {
  return std::visit(
      [](const auto& v) {
        using T = std::decay_t<decltype(v)>;
        if constexpr (kIsArray<T>) {
          return "arr[" + scalar_type_name<typename ElementOf<T>::type>() + "]";
        } else {
          return scalar_type_name<T>();
        }
      },
      value);
}

std::string metadata_text(const MetadataValue& value, std::size_t max_items) {
  return std::visit(
      [max_items](const auto& v) {
        using T = std::decay_t<decltype(v)>;
        if constexpr (kIsArray<T>) {
          const auto& array = elements(v);
          std::string text = "[";
          for (std::size_t i = 0; i < array.size() && i < max_items; ++i) {
            if (i > 0) text += ", ";
            text += scalar_text(static_cast<typename ElementOf<T>::type>(array[i]), 16 * max_items);
          }
          if (array.size() > max_items) text += fmt::format(", ... {} in all", array.size());
          return text + "]";
        } else {
          return scalar_text(v, 16 * max_items);
        }
      },
      value);
}

const MetadataValue* Metadata::find(std::string_view key) const {
  const auto it = index_.find(key);
  return it == index_.end() ? nullptr : &entries_[it->second].value;
}

std::optional<std::uint64_t> Metadata::get_uint(std::string_view key) const {
  return integer_of<std::uint64_t>(find(key));
}

std::optional<std::int64_t> Metadata::get_int(std::string_view key) const {
  return integer_of<std::int64_t>(find(key));
}

std::optional<float> Metadata::get_float(std::string_view key) const {
  const MetadataValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  return std::visit(
      [](const auto& v) -> std::optional<float> {
        if constexpr (kIsNumber<std::decay_t<decltype(v)>>) return static_cast<float>(v);
        return std::nullopt;
      },
      *value);
}

std::optional<bool> Metadata::get_bool(std::string_view key) const {
  const MetadataValue* value = find(key);
  const bool* found = value == nullptr ? nullptr : std::get_if<bool>(value);
  return found == nullptr ? std::nullopt : std::optional(*found);
}

std::optional<std::string_view> Metadata::get_string(std::string_view key) const {
  const MetadataValue* value = find(key);
  const std::string* found = value == nullptr ? nullptr : std::get_if<std::string>(value);
  return found == nullptr ? std::nullopt : std::optional<std::string_view>(*found);
}

std::optional<std::span<const std::string_view>> Metadata::get_strings(std::string_view key) const {
  const MetadataValue* value = find(key);
  const MetadataStrings* found = value == nullptr ? nullptr : std::get_if<MetadataStrings>(value);
  return found == nullptr ? std::nullopt : std::optional<std::span<const std::string_view>>(found->values);
}

std::optional<std::vector<float>> Metadata::get_floats(std::string_view key) const {
  const MetadataValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  return std::visit(
      [](const auto& v) -> std::optional<std::vector<float>> {
        using T = std::decay_t<decltype(v)>;
        if constexpr (kIsArray<T> && kIsNumber<typename ElementOf<T>::type>) {
          std::vector<float> floats(v.size());
          for (std::size_t i = 0; i < v.size(); ++i)
            floats[i] = static_cast<float>(v[i]);
          return floats;
        }
        return std::nullopt;
      },
      *value);
}

std::optional<std::vector<std::int64_t>> Metadata::get_ints(std::string_view key) const {
  const MetadataValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  return std::visit(
      [](const auto& v) -> std::optional<std::vector<std::int64_t>> {
        using T = std::decay_t<decltype(v)>;
        if constexpr (kIsArray<T> && std::is_integral_v<typename ElementOf<T>::type>) {
          std::vector<std::int64_t> ints;
          ints.reserve(elements(v).size());
          for (const auto element : elements(v)) {
            const auto as_int = checked_cast<std::int64_t>(element);
            if (!as_int) return std::nullopt;
            ints.push_back(*as_int);
          }
          return ints;
        }
        return std::nullopt;
      },
      *value);
}

template <class T>
Result<T> Metadata::required(std::string_view key, std::optional<T> value, const char* wanted) const {
  if (value) return std::move(*value);
  const MetadataValue* found = find(key);
  if (found == nullptr) return not_found(fmt::format("{}: metadata key {} is missing", source_, quote_name(key)));
  return invalid_argument(fmt::format("{}: metadata key {} is {} ({}), expected {}", source_, quote_name(key),
                                      metadata_text(*found, 2), metadata_type_name(*found), wanted));
}

Result<std::uint64_t> Metadata::require_uint(std::string_view key) const {
  return required(key, get_uint(key), "an unsigned integer");
}
Result<std::int64_t> Metadata::require_int(std::string_view key) const {
  return required(key, get_int(key), "an integer");
}
Result<float> Metadata::require_float(std::string_view key) const {
  return required(key, get_float(key), "a number");
}
Result<bool> Metadata::require_bool(std::string_view key) const {
  return required(key, get_bool(key), "a bool");
}
Result<std::string_view> Metadata::require_string(std::string_view key) const {
  return required(key, get_string(key), "a string");
}
Result<std::span<const std::string_view>> Metadata::require_strings(std::string_view key) const {
  return required(key, get_strings(key), "an array of strings");
}
Result<std::vector<float>> Metadata::require_floats(std::string_view key) const {
  return required(key, get_floats(key), "an array of numbers");
}
Result<std::vector<std::int64_t>> Metadata::require_ints(std::string_view key) const {
  return required(key, get_ints(key), "an array of integers");
}

void Metadata::set(std::string_view key, MetadataValue value) {
  const auto [it, inserted] = index_.try_emplace(std::string(key), entries_.size());
  if (inserted) {
    entries_.push_back({std::string(key), std::move(value)});
  } else {
    entries_[it->second].value = std::move(value);
  }
}

void Metadata::set_uint(std::string_view key, std::uint64_t value) {
  const auto narrow = checked_cast<std::uint32_t>(value);
  narrow ? set(key, *narrow) : set(key, value);
}
void Metadata::set_int(std::string_view key, std::int64_t value) {
  const auto narrow = checked_cast<std::int32_t>(value);
  narrow ? set(key, *narrow) : set(key, value);
}
void Metadata::set_float(std::string_view key, float value) {
  set(key, value);
}
void Metadata::set_bool(std::string_view key, bool value) {
  set(key, value);
}
void Metadata::set_string(std::string_view key, std::string value) {
  set(key, std::move(value));
}
void Metadata::set_strings(std::string_view key, std::vector<std::string> values) {
  set(key, MetadataStrings(std::move(values)));
}
void Metadata::set_floats(std::string_view key, std::vector<float> values) {
  set(key, std::move(values));
}
void Metadata::set_ints(std::string_view key, std::vector<std::int32_t> values) {
  set(key, std::move(values));
}

void Metadata::erase(std::string_view key) {
  const auto it = index_.find(key);
  if (it == index_.end()) return;
  const std::size_t place = it->second;
  index_.erase(it);
  entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(place));
  for (auto& [name, position] : index_) {
    if (position > place) --position;
  }
}

}  // namespace mlxr
