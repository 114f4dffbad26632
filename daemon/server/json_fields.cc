#include "daemon/server/json_fields.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/core.h>
#include <fmt/format.h>

#include "core/base/utf8.h"

namespace mlxr::server {
namespace {

constexpr std::size_t kMaxUnknownWarnings = 16;
constexpr std::size_t kShownValueBytes = 40;
constexpr std::size_t kShownPathBytes = 160;

std::string shortened(const std::string& text, std::size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  return text.substr(0, complete_utf8_prefix(std::string_view(text).substr(0, max_bytes))) + "...";
}

bool asks_for_nothing(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return true;
    case Json::value_t::boolean:
      return !value.get<bool>();
    case Json::value_t::string:
      return value.get_ref<const std::string&>().empty();
    case Json::value_t::array:
    case Json::value_t::object:
      return value.empty();
    default:
      break;
  }
  const std::optional<std::int64_t> whole = whole_number(value);
  return whole == 0 || whole == -1;
}

std::string number_text(double value) {
  return fmt::format("{}", value);
}

template <class T>
std::string range_text(Range<T> range) {
  const bool low = range.min > std::numeric_limits<T>::lowest();
  const bool high = range.max < std::numeric_limits<T>::max();
  if (low && high) return fmt::format(" from {} to {}", range.min, range.max);
  if (low) return fmt::format(" of at least {}", range.min);
  if (high) return fmt::format(" of at most {}", range.max);
  return {};
}

}  // namespace

void RequestNotes::fail(ApiErrorKind kind, const std::string& field, const std::string& message) {
  if (!error.has_value()) error = make_error(kind, message, field);
}

void RequestNotes::invalid(const std::string& field, const std::string& what) {
  fail(ApiErrorKind::kInvalidRequest, field,
       field.empty() ? fmt::format("the request {}", what)
                     : fmt::format("field '{}' {}", shortened(field, kShownPathBytes), what));
}

std::string describe_json(const Json& value) {
  switch (value.type()) {
    case Json::value_t::string:
      return "the string " + json_quoted(shortened(value.get_ref<const std::string&>(), kShownValueBytes));
    case Json::value_t::boolean:
      return value.get<bool>() ? "true" : "false";
    case Json::value_t::array:
      return "an array";
    case Json::value_t::object:
      return "an object";
    case Json::value_t::null:
      return "null";
    case Json::value_t::number_float:
      return "the number " + number_text(value.get<double>());
    default:
      return "the number " + json_text(value);
  }
}

std::optional<std::int64_t> whole_number(const Json& value) {
  if (value.is_number_unsigned()) {
    const auto number = value.get<std::uint64_t>();
    if (number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return std::nullopt;
    return static_cast<std::int64_t>(number);
  }
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (!value.is_number_float()) return std::nullopt;
  const auto number = value.get<double>();
  // 2^63 as a double; below it every whole double is an int64.
  constexpr double kEnd = 9223372036854775808.0;
  if (!(number >= -kEnd && number < kEnd) || std::floor(number) != number) return std::nullopt;
  return static_cast<std::int64_t>(number);
}

JsonFields::JsonFields(const Json& object, std::string path, RequestNotes& notes)
    : object_(object), path_(std::move(path)), notes_(notes) {
  if (!object.is_object()) {
    std::string field = path_;
    if (!field.empty() && field.back() == '.') field.pop_back();
    notes_.invalid(field, fmt::format("must be an object; it is {}", describe_json(object)));
    return;
  }
  known_.assign(object.size(), false);
}

const Json* JsonFields::look(std::string_view name) const {
  if (!object_.is_object()) return nullptr;
  for (const auto& [key, value] : object_.get_ref<const Json::object_t&>()) {
    if (key == name) return value.is_null() ? nullptr : &value;
  }
  return nullptr;
}

const Json* JsonFields::mark(std::string_view name) {
  if (!object_.is_object()) return nullptr;
  std::size_t index = 0;
  for (const auto& [key, value] : object_.get_ref<const Json::object_t&>()) {
    if (key == name) {
      known_[index] = true;
      return value.is_null() ? nullptr : &value;
    }
    ++index;
  }
  return nullptr;
}

void JsonFields::wrong_type(std::string_view name, std::string_view wanted, const Json& value) {
  invalid(name, fmt::format("must be {}; it is {}", wanted, describe_json(value)));
}

const Json* JsonFields::any(std::string_view name) {
  return mark(name);
}

const Json* JsonFields::object(std::string_view name) {
  const Json* value = mark(name);
  if (value == nullptr || value->is_object()) return value;
  wrong_type(name, "an object", *value);
  return nullptr;
}

const Json* JsonFields::array(std::string_view name) {
  const Json* value = mark(name);
  if (value == nullptr || value->is_array()) return value;
  wrong_type(name, "an array", *value);
  return nullptr;
}

std::optional<bool> JsonFields::boolean(std::string_view name) {
  const Json* value = mark(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_boolean()) return value->get<bool>();
  wrong_type(name, "true or false", *value);
  return std::nullopt;
}

std::optional<std::int64_t> JsonFields::integer(std::string_view name, Range<std::int64_t> range) {
  const Json* value = mark(name);
  if (value == nullptr) return std::nullopt;
  const std::optional<std::int64_t> number = whole_number(*value);
  if (number.has_value() && *number >= range.min && *number <= range.max) return number;
  wrong_type(name, "a whole number" + range_text(range), *value);
  return std::nullopt;
}

std::optional<double> JsonFields::number(std::string_view name, Range<double> range) {
  const Json* value = mark(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_number()) {
    const auto number = value->get<double>();
    if (number >= range.min && number <= range.max) return number;
  }
  wrong_type(name, "a number" + range_text(range), *value);
  return std::nullopt;
}

std::optional<std::string> JsonFields::string(std::string_view name) {
  const Json* value = mark(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_string()) return value->get<std::string>();
  wrong_type(name, "a string", *value);
  return std::nullopt;
}

std::optional<std::string> JsonFields::choice(std::string_view name, std::initializer_list<std::string_view> allowed) {
  const Json* value = mark(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_string()) {
    const auto& text = value->get_ref<const std::string&>();
    if (std::find(allowed.begin(), allowed.end(), text) != allowed.end()) return text;
  }
  wrong_type(name, fmt::format("one of {}", fmt::join(allowed, ", ")), *value);
  return std::nullopt;
}

std::optional<std::vector<std::string>> JsonFields::strings(std::string_view name, std::size_t max_count) {
  const Json* value = mark(name);
  if (value == nullptr) return std::nullopt;
  std::vector<std::string> out;
  if (value->is_string()) {
    out.push_back(value->get<std::string>());
    return out;
  }
  if (!value->is_array()) {
    wrong_type(name, "a string or an array of strings", *value);
    return std::nullopt;
  }
  if (value->size() > max_count) {
    invalid(name, fmt::format("has {} entries; {} are allowed", value->size(), max_count));
    return std::nullopt;
  }
  for (std::size_t i = 0; i < value->size(); ++i) {
    const Json& entry = (*value)[i];
    if (!entry.is_string()) {
      wrong_type(fmt::format("{}[{}]", name, i), "a string", entry);
      return std::nullopt;
    }
    out.push_back(entry.get<std::string>());
  }
  return out;
}

std::optional<std::vector<std::int32_t>> JsonFields::tokens(std::string_view name, std::size_t max_count) {
  const Json* value = array(name);
  if (value == nullptr) return std::nullopt;
  if (value->size() > max_count) {
    invalid(name, fmt::format("has {} entries; {} are allowed", value->size(), max_count));
    return std::nullopt;
  }
  std::vector<std::int32_t> out;
  out.reserve(value->size());
  for (std::size_t i = 0; i < value->size(); ++i) {
    const Json& entry = (*value)[i];
    const std::optional<std::int64_t> token = whole_number(entry);
    if (!token.has_value() || *token < 0 || *token > std::numeric_limits<std::int32_t>::max()) {
      wrong_type(fmt::format("{}[{}]", name, i), "a token id", entry);
      return std::nullopt;
    }
    out.push_back(static_cast<std::int32_t>(*token));
  }
  return out;
}

std::string JsonFields::required_string(std::string_view name) {
  const bool present = has(name);
  std::optional<std::string> text = string(name);
  if (!present) invalid(name, "is missing");
  return std::move(text).value_or("");
}

const Json* JsonFields::required_array(std::string_view name) {
  if (!has(name)) invalid(name, "is missing");
  return array(name);
}

void JsonFields::treat(std::span<const KnownField> fields) {
  for (const KnownField& field : fields) {
    const Json* value = mark(field.name);
    if (value == nullptr || field.treatment == FieldTreatment::kSilent || asks_for_nothing(*value)) continue;
    if (field.treatment == FieldTreatment::kWarn) {
      notes_.warn(fmt::format("field '{}' has no effect: {}", path_of(field.name), field.reason));
    } else {
      notes_.fail(ApiErrorKind::kUnsupported, path_of(field.name),
                  fmt::format("field '{}' is not supported: {}", path_of(field.name), field.reason));
    }
  }
}

void JsonFields::finish() {
  if (!object_.is_object()) return;
  std::size_t index = 0;
  std::size_t num_unknown = 0;
  for (const auto& [key, value] : object_.get_ref<const Json::object_t&>()) {
    if (known_[index++]) continue;
    if (num_unknown++ < kMaxUnknownWarnings) {
      notes_.warn(fmt::format("unknown field '{}' was ignored", shortened(path_of(key), kShownPathBytes)));
    }
  }
  if (num_unknown > kMaxUnknownWarnings) {
    notes_.warn(fmt::format("{} more unknown fields were ignored", num_unknown - kMaxUnknownWarnings));
  }
}

void JsonFields::refuse_others() {
  if (!object_.is_object()) return;
  std::size_t index = 0;
  for (const auto& [key, value] : object_.get_ref<const Json::object_t&>()) {
    if (!known_[index++]) invalid(key, "is not known here");
  }
}

}  // namespace mlxr::server
