#include "core/io/json_file.h"

#include <cmath>
#include <limits>
#include <type_traits>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "core/base/checked.h"
#include "core/base/mapped_file.h"
#include "core/io/byte_reader.h"

namespace mlxr {
namespace {

using nlohmann::json;

// The same length as the word it stands for, so that offsets in errors stay those of the file.
constexpr std::string_view kInfinity = "Infinity";
constexpr std::string_view kLargest = "1.79e308";
static_assert(kInfinity.size() == kLargest.size());
constexpr double kLargestValue = 1.79e308;

// What has to be known of a text before it is parsed: nesting, which the parser itself does not bound, and the places
// of bare Infinity words.
struct Scan {
  std::size_t too_deep_at = std::string_view::npos;
  std::vector<std::size_t> infinities;
};

Scan scan_json(std::string_view text, std::size_t max_depth) {
  Scan scan;
  std::size_t depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > max_depth) {
        scan.too_deep_at = i;
        return scan;
      }
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    } else if (c == 'I' && text.substr(i, kInfinity.size()) == kInfinity) {
      scan.infinities.push_back(i);
      i += kInfinity.size() - 1;
    }
  }
  return scan;
}

std::string place_of(std::string_view text, std::size_t byte) {
  const std::string_view before = text.substr(0, byte);
  std::size_t line = 1;
  for (const char c : before)
    line += c == '\n' ? 1 : 0;
  return fmt::format("byte {} (line {})", byte, line);
}

Result<json> parse_scanned(std::string_view text, const std::string& path) {
  try {
    return json::parse(text);
  } catch (const json::parse_error& error) {
    // The library counts bytes from 1 and stops after the one that it could not accept.
    const std::size_t byte = error.byte > 0 ? error.byte - 1 : 0;
    if (byte >= text.size()) return corrupt(fmt::format("{}: JSON ends too early, at byte {}", path, text.size()));
    return corrupt(fmt::format("{}: not valid JSON at {}", path, place_of(text, byte)));
  } catch (const json::exception&) {
    return corrupt(fmt::format("{}: a number in the JSON is out of range", path));
  }
}

Status wrong_type(const json& value, std::string_view field, const std::string& path, const char* wanted) {
  constexpr std::size_t kMaxShown = 40;
  std::string shown;
  if (value.is_structured()) {
    shown = fmt::format("an {} of {}", value.is_array() ? "array" : "object", value.size());
  } else {
    shown = value.dump(-1, ' ', true, json::error_handler_t::replace);
    if (shown.size() > kMaxShown) shown = shown.substr(0, kMaxShown) + "...";
  }
  return invalid_argument(fmt::format("{}: field {} is {}, expected {}", path, quote_name(field), shown, wanted));
}

template <class T>
constexpr const char* wanted_name() {
  if constexpr (std::is_same_v<T, bool>) return "true or false";
  if constexpr (std::is_same_v<T, std::uint64_t>) return "an unsigned integer";
  if constexpr (std::is_same_v<T, std::int64_t>) return "an integer";
  if constexpr (std::is_same_v<T, double>) return "a number";
  return "a string";
}

template <class T>
std::optional<T> value_of(const json& value) {
  if constexpr (std::is_same_v<T, bool>) {
    if (const auto* found = value.get_ptr<const json::boolean_t*>()) return *found;
  } else if constexpr (std::is_same_v<T, std::string>) {
    if (const auto* found = value.get_ptr<const json::string_t*>()) return *found;
  } else if constexpr (std::is_integral_v<T>) {
    if (const auto* found = value.get_ptr<const json::number_unsigned_t*>()) return checked_cast<T>(*found);
    if (const auto* found = value.get_ptr<const json::number_integer_t*>()) return checked_cast<T>(*found);
  } else {
    if (!value.is_number()) return std::nullopt;
    const double number = value.get<double>();
    if (std::fabs(number) < kLargestValue) return number;
    return std::copysign(std::numeric_limits<double>::infinity(), number);
  }
  return std::nullopt;
}

Status missing(std::string_view field, const std::string& path) {
  return not_found(fmt::format("{}: field {} is missing", path, quote_name(field)));
}

template <class T>
Result<T> field_of(const json& object, std::string_view field, const std::string& path) {
  const json* found = json_find(object, field);
  if (found == nullptr) return missing(field, path);
  std::optional<T> value = value_of<T>(*found);
  if (!value) return wrong_type(*found, field, path, wanted_name<T>());
  return std::move(*value);
}

template <class T>
Result<T> field_or(const json& object, std::string_view field, T fallback, const std::string& path) {
  if (json_find(object, field) == nullptr) return fallback;
  return field_of<T>(object, field, path);
}

template <class T>
Result<std::vector<T>> array_of(const json& object, std::string_view field, const std::string& path) {
  const json* found = json_find(object, field);
  if (found == nullptr) return missing(field, path);
  if (!found->is_array()) return wrong_type(*found, field, path, "an array");
  std::vector<T> values;
  for (std::size_t i = 0; i < found->size(); ++i) {
    std::optional<T> value = value_of<T>((*found)[i]);
    if (!value) return wrong_type((*found)[i], fmt::format("{}[{}]", field, i), path, wanted_name<T>());
    values.push_back(std::move(*value));
  }
  return values;
}

}  // namespace

Result<std::string> read_text_file(const std::string& path, std::size_t max_bytes) {
  MLXR_ASSIGN_OR_RETURN(const std::shared_ptr<const MappedFile> file, MappedFile::open(path));
  if (file->bytes().size() > max_bytes) {
    return resource_exhausted(
        fmt::format("{}: {} bytes, more than the limit of {}", path, file->bytes().size(), max_bytes));
  }
  return std::string(as_text(file->bytes()));
}

Result<json> read_json_file(const std::string& path, const JsonLimits& limits) {
  MLXR_ASSIGN_OR_RETURN(const std::string text, read_text_file(path, limits.max_bytes));
  return parse_json(text, path, limits);
}

Result<json> parse_json(std::string_view text, const std::string& path, const JsonLimits& limits) {
  if (text.size() > limits.max_bytes) {
    return resource_exhausted(
        fmt::format("{}: {} bytes, more than the limit of {}", path, text.size(), limits.max_bytes));
  }
  const Scan scan = scan_json(text, limits.max_depth);
  if (scan.too_deep_at != std::string_view::npos) {
    return resource_exhausted(
        fmt::format("{}: JSON nests deeper than {} at {}", path, limits.max_depth, place_of(text, scan.too_deep_at)));
  }
  if (scan.infinities.empty()) return parse_scanned(text, path);
  std::string patched(text);
  for (const std::size_t at : scan.infinities)
    patched.replace(at, kLargest.size(), kLargest);
  return parse_scanned(patched, path);
}

const json* json_find(const json& object, std::string_view field) {
  if (!object.is_object()) return nullptr;
  const auto it = object.find(field);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

Result<std::uint64_t> json_uint(const json& object, std::string_view field, const std::string& path) {
  return field_of<std::uint64_t>(object, field, path);
}
Result<std::int64_t> json_int(const json& object, std::string_view field, const std::string& path) {
  return field_of<std::int64_t>(object, field, path);
}
Result<double> json_float(const json& object, std::string_view field, const std::string& path) {
  return field_of<double>(object, field, path);
}
Result<bool> json_bool(const json& object, std::string_view field, const std::string& path) {
  return field_of<bool>(object, field, path);
}
Result<std::string> json_string(const json& object, std::string_view field, const std::string& path) {
  return field_of<std::string>(object, field, path);
}
Result<std::vector<double>> json_floats(const json& object, std::string_view field, const std::string& path) {
  return array_of<double>(object, field, path);
}
Result<std::vector<std::int64_t>> json_ints(const json& object, std::string_view field, const std::string& path) {
  return array_of<std::int64_t>(object, field, path);
}
Result<std::vector<std::string>> json_strings(const json& object, std::string_view field, const std::string& path) {
  return array_of<std::string>(object, field, path);
}

Result<std::uint64_t> json_uint_or(const json& object, std::string_view field, std::uint64_t fallback,
                                   const std::string& path) {
  return field_or<std::uint64_t>(object, field, fallback, path);
}
Result<std::int64_t> json_int_or(const json& object, std::string_view field, std::int64_t fallback,
                                 const std::string& path) {
  return field_or<std::int64_t>(object, field, fallback, path);
}
Result<double> json_float_or(const json& object, std::string_view field, double fallback, const std::string& path) {
  return field_or<double>(object, field, fallback, path);
}
Result<bool> json_bool_or(const json& object, std::string_view field, bool fallback, const std::string& path) {
  return field_or<bool>(object, field, fallback, path);
}
Result<std::string> json_string_or(const json& object, std::string_view field, std::string fallback,
                                   const std::string& path) {
  return field_or<std::string>(object, field, std::move(fallback), path);
}

}  // namespace mlxr
