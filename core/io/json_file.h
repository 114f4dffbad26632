#pragma once
// JSON files of model folders, and typed access to their fields. Errors are one line that names the file and the byte
// offset or the field; nothing throws.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/base/status.h"

namespace mlxr {

struct JsonLimits {
  std::size_t max_bytes = std::size_t{64} << 20;
  std::size_t max_depth = 200;
};

// A whole file as text: kNotFound, kInternal, or kResourceExhausted when it is larger than `max_bytes`.
Result<std::string> read_text_file(const std::string& path, std::size_t max_bytes = std::size_t{64} << 20);

// kCorrupt for broken JSON, kResourceExhausted for one that is too large or nested too deeply. Python writes bare
// Infinity in config files: it is read as +-1.79e308, which json_float gives back as an infinity.
Result<nlohmann::json> read_json_file(const std::string& path, const JsonLimits& limits = {});
// The same for text in memory; `path` names it in errors.
Result<nlohmann::json> parse_json(std::string_view text, const std::string& path, const JsonLimits& limits = {});

// Fields of an object. kNotFound when the field is absent or null, kInvalidArgument when its value is of another type
// or does not fit; both name `path` and `field`. A float is no integer, also when it is whole.
Result<std::uint64_t> json_uint(const nlohmann::json& object, std::string_view field, const std::string& path);
Result<std::int64_t> json_int(const nlohmann::json& object, std::string_view field, const std::string& path);
Result<double> json_float(const nlohmann::json& object, std::string_view field, const std::string& path);
Result<bool> json_bool(const nlohmann::json& object, std::string_view field, const std::string& path);
Result<std::string> json_string(const nlohmann::json& object, std::string_view field, const std::string& path);
Result<std::vector<double>> json_floats(const nlohmann::json& object, std::string_view field, const std::string& path);
Result<std::vector<std::int64_t>> json_ints(const nlohmann::json& object, std::string_view field,
                                            const std::string& path);
Result<std::vector<std::string>> json_strings(const nlohmann::json& object, std::string_view field,
                                              const std::string& path);

// The field, or `fallback` when it is absent or null; a value of another type is still an error.
Result<std::uint64_t> json_uint_or(const nlohmann::json& object, std::string_view field, std::uint64_t fallback,
                                   const std::string& path);
Result<std::int64_t> json_int_or(const nlohmann::json& object, std::string_view field, std::int64_t fallback,
                                 const std::string& path);
Result<double> json_float_or(const nlohmann::json& object, std::string_view field, double fallback,
                             const std::string& path);
Result<bool> json_bool_or(const nlohmann::json& object, std::string_view field, bool fallback, const std::string& path);
Result<std::string> json_string_or(const nlohmann::json& object, std::string_view field, std::string fallback,
                                   const std::string& path);

// The field's value, or nullptr when `object` is no object, or the field is absent or null.
const nlohmann::json* json_find(const nlohmann::json& object, std::string_view field);

}  // namespace mlxr
