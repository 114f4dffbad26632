#include "daemon/registry/model_parameters.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "core/io/json_file.h"
#include "daemon/registry/visible_text.h"

namespace mlxr {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

enum class Type : std::uint8_t { kInteger, kReal, kBoolean, kTexts };

struct Row {
  const char* name;
  Type type;
};

constexpr Row kRows[] = {
#define MLXR_PARAMETER(name, type) {#name, Type::type},
#include "daemon/registry/parameters.def"
#undef MLXR_PARAMETER
};

constexpr std::size_t kMaxTexts = 64;
constexpr std::size_t kMaxShown = 60;
constexpr std::size_t kMaxParametersBytes = std::size_t{1} << 20;
constexpr int kKeyColumn = 30;

const Row* find_row(std::string_view name) {
  const auto* row = std::find_if(std::begin(kRows), std::end(kRows), [&](const Row& r) { return name == r.name; });
  return row == std::end(kRows) ? nullptr : row;
}

const char* type_name(Type type) {
  switch (type) {
    case Type::kInteger:
      return "integer";
    case Type::kReal:
      return "float32";
    case Type::kBoolean:
      return "boolean";
    case Type::kTexts:
      return "array of strings";
  }
  return "";
}

Status unknown_parameter(std::string_view name) {
  return invalid_argument(fmt::format("unknown parameter \"{}\"", visible_text(name, kMaxShown)));
}

Status wrong_type(const Row& row) {
  return invalid_argument(fmt::format("parameter \"{}\" must be of type {}", row.name, type_name(row.type)));
}

template <class T>
std::optional<T> parse_number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<ParameterValue> parse_value(Type type, std::string_view text) {
  switch (type) {
    case Type::kInteger:
      if (const auto value = parse_number<std::int64_t>(text)) return *value;
      return std::nullopt;
    case Type::kReal:
      if (const auto value = parse_number<double>(text); value && std::isfinite(*value)) return *value;
      return std::nullopt;
    case Type::kBoolean:
      if (text == "true" || text == "1") return true;
      if (text == "false" || text == "0") return false;
      return std::nullopt;
    case Type::kTexts:
      return std::vector<std::string>{std::string(text)};
  }
  return std::nullopt;
}

std::optional<ParameterValue> texts_of(const json& value) {
  std::vector<std::string> texts;
  if (value.is_string()) return std::vector<std::string>{value.get<std::string>()};
  if (!value.is_array() || value.size() > kMaxTexts) return std::nullopt;
  for (const json& entry : value) {
    if (!entry.is_string()) return std::nullopt;
    texts.push_back(entry.get<std::string>());
  }
  return texts;
}

std::optional<ParameterValue> json_value(Type type, const json& value) {
  switch (type) {
    case Type::kInteger: {
      // Whole floats too: JavaScript and YAML write them so.
      if (value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX) return std::nullopt;
      if (value.is_number_integer()) return value.get<std::int64_t>();
      if (!value.is_number_float()) return std::nullopt;
      const double number = value.get<double>();
      if (std::abs(number) > 9e15 || number != std::floor(number)) return std::nullopt;
      return static_cast<std::int64_t>(number);
    }
    case Type::kReal:
      if (!value.is_number()) return std::nullopt;
      return value.get<double>();
    case Type::kBoolean:
      if (!value.is_boolean()) return std::nullopt;
      return value.get<bool>();
    case Type::kTexts:
      return texts_of(value);
  }
  return std::nullopt;
}

ParameterValue* find_value(ModelParameters& parameters, std::string_view name) {
  for (auto& [key, value] : parameters) {
    if (key == name) return &value;
  }
  return nullptr;
}

void set_value(ModelParameters& parameters, std::string_view name, ParameterValue value) {
  if (ParameterValue* there = find_value(parameters, name)) {
    *there = std::move(value);
  } else {
    parameters.emplace_back(name, std::move(value));
  }
}

ordered_json to_json(const ParameterValue& value) {
  return std::visit([](const auto& v) { return ordered_json(v); }, value);
}

}  // namespace

Status add_parameter(ModelParameters& parameters, std::string_view name, std::string_view text) {
  const Row* row = find_row(name);
  if (row == nullptr) return unknown_parameter(name);
  auto value = parse_value(row->type, text);
  if (!value) return wrong_type(*row);
  if (row->type == Type::kTexts) {
    if (ParameterValue* there = find_value(parameters, name)) {
      auto& texts = std::get<std::vector<std::string>>(*there);
      if (texts.size() == kMaxTexts) {
        return invalid_argument(fmt::format("parameter \"{}\" has more than {} values", row->name, kMaxTexts));
      }
      texts.emplace_back(text);
      return {};
    }
  }
  set_value(parameters, name, std::move(*value));
  return {};
}

Result<ModelParameters> parameters_from_json(const json& object) {
  ModelParameters parameters;
  if (object.is_null()) return parameters;
  if (!object.is_object()) return invalid_argument("parameters must be an object");
  for (const auto& [name, value] : object.items()) {
    const Row* row = find_row(name);
    if (row == nullptr) return unknown_parameter(name);
    auto parsed = json_value(row->type, value);
    if (!parsed) return wrong_type(*row);
    set_value(parameters, name, std::move(*parsed));
  }
  return parameters;
}

Result<ModelParameters> parse_parameters(std::string_view text, const std::string& source,
                                         std::vector<std::string>& warnings) {
  const auto document = parse_json(text, source, {kMaxParametersBytes, 16});
  if (!document.ok()) return corrupt(document.status().message());
  if (!document->is_object()) return corrupt(source + ": parameters are a JSON object");
  ModelParameters parameters;
  for (const auto& [name, value] : document->items()) {
    const Row* row = find_row(name);
    if (row == nullptr) {
      warnings.push_back(unknown_parameter(name).message() + " is not used");
      continue;
    }
    auto parsed = json_value(row->type, value);
    if (!parsed) return corrupt(source + ": " + wrong_type(*row).message());
    set_value(parameters, name, std::move(*parsed));
  }
  return parameters;
}

std::string parameters_to_json(const ModelParameters& parameters) {
  ordered_json object = ordered_json::object();
  for (const auto& [name, value] : parameters)
    object[name] = to_json(value);
  return object.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

ModelParameters merge_parameters(const ModelParameters& lower, const ModelParameters& upper) {
  ModelParameters merged = lower;
  for (const auto& [name, value] : upper)
    set_value(merged, name, value);
  return merged;
}

std::string parameter_text(const ParameterValue& value) {
  return to_json(value).dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::string parameters_text(const ModelParameters& parameters) {
  std::string text;
  for (const auto& [name, value] : parameters) {
    if (const auto* texts = std::get_if<std::vector<std::string>>(&value)) {
      for (const std::string& entry : *texts)
        text += fmt::format("{:<{}} {}\n", name, kKeyColumn, parameter_text(entry));
    } else {
      text += fmt::format("{:<{}} {}\n", name, kKeyColumn, parameter_text(value));
    }
  }
  if (!text.empty()) text.pop_back();
  return text;
}

}  // namespace mlxr
