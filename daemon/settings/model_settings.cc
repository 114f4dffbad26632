#include "daemon/settings/model_settings.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <type_traits>

#include <fmt/core.h>

#include "core/base/nearest_name.h"
#include "core/runtime/sampler/sampling_params.h"
#include "daemon/settings/setting_text.h"
#include "daemon/settings/settings_yaml.h"

namespace mlxr {
namespace {

using Kind = YamlNode::Kind;

constexpr std::size_t kMaxFiles = 10000;

// --- one value ----------------------------------------------------------------------------------------------------

Status read_value(const YamlNode& node, std::string& value) {
  if (node.kind != Kind::kScalar) return invalid_argument("is not a text");
  value = node.text;
  return {};
}

Status read_value(const YamlNode& node, std::vector<std::string>& value) {
  std::vector<std::string> items;
  if (node.kind == Kind::kScalar) items.push_back(node.text);
  if (node.kind == Kind::kMapping) return invalid_argument("is not a list");
  for (const YamlNode& item : node.items) {
    if (item.kind != Kind::kScalar) return invalid_argument("an item of the list is not a text");
    items.push_back(item.text);
  }
  value = std::move(items);
  return {};
}

template <class T>
Status read_value(const YamlNode& node, T& value) {
  if (node.kind != Kind::kScalar) return invalid_argument("is not a single value");
  if constexpr (std::is_same_v<T, float>) {
    double wide = 0.0;
    MLXR_RETURN_IF_ERROR(setting_text_detail::from_text(node.text, wide));
    value = static_cast<float>(wide);
  } else if constexpr (std::is_same_v<T, int>) {
    std::int64_t wide = 0;
    MLXR_RETURN_IF_ERROR(setting_text_detail::from_text(node.text, wide));
    value = static_cast<int>(wide);
    if (value != wide) return invalid_argument(fmt::format("{} is out of range", wide));
  } else if constexpr (std::is_same_v<T, std::uint64_t>) {
    // A seed, not bytes.
    std::int64_t wide = 0;
    MLXR_RETURN_IF_ERROR(setting_text_detail::from_text(node.text, wide));
    if (wide < 0) return invalid_argument(fmt::format("{} is negative", wide));
    value = static_cast<std::uint64_t>(wide);
  } else {
    MLXR_RETURN_IF_ERROR(setting_text_detail::from_text(node.text, value));
  }
  return {};
}

template <class T>
Status read_value(const YamlNode& node, std::optional<T>& value) {
  T read{};
  MLXR_RETURN_IF_ERROR(read_value(node, read));
  value = std::move(read);
  return {};
}

// --- a mapping of keys --------------------------------------------------------------------------------------------

Status unknown_key(std::string_view key, std::vector<std::string> names) {
  std::string safe;
  for (const char c : key.substr(0, 64))
    safe += c > 0x20 && c < 0x7F ? c : '?';
  const std::string nearest = nearest_name(key, names);
  return invalid_argument(fmt::format("there is no key \"{}\"{}", safe,
                                      nearest.empty() ? "" : fmt::format("; did you mean \"{}\"?", nearest)));
}

Status read_sampling_key(std::string_view key, const YamlNode& node, ModelSettings::Sampling& sampling) {
#define MLXR_SAMPLING_FIELD(type, name) \
  if (key == #name) return read_value(node, sampling.name);
#include "core/runtime/sampler/sampling_fields.def"
#undef MLXR_SAMPLING_FIELD
#define MLXR_SAMPLING_FIELD(type, name) #name,
  return unknown_key(key, {
#include "core/runtime/sampler/sampling_fields.def"
                          });
#undef MLXR_SAMPLING_FIELD
}

// Each value alone must be one that a request could have.
Status check_sampling(const ModelSettings::Sampling& sampling) {
  SamplingParams params;
#define MLXR_SAMPLING_FIELD(type, name) \
  if (sampling.name) params.name = *sampling.name;
#include "core/runtime/sampler/sampling_fields.def"
#undef MLXR_SAMPLING_FIELD
  return params.validate();
}

Status read_sampling(const YamlNode& node, const std::string& path, ModelSettings::Sampling& sampling) {
  if (node.kind == Kind::kNull) return {};
  if (node.kind != Kind::kMapping) return yaml_error(path, node, "sampling: is not a mapping of keys to values");
  for (const auto& [key, value] : node.entries) {
    const Status status = read_sampling_key(key.text, value, sampling);
    if (!status.ok()) return yaml_error(path, key, fmt::format("sampling: {}", status.message()));
    const Status valid = check_sampling(sampling);
    if (!valid.ok()) return yaml_error(path, key, fmt::format("sampling: {}", valid.message()));
  }
  return {};
}

// Through a row of settings.def, for its checks.
Status check_as_setting(std::string_view name, const std::string& text) {
  Settings ignored;
  return set_setting(ignored, name, text);
}

Status read_key(std::string_view key, const YamlNode& node, ModelSettings& model) {
  if (key == "model") return read_value(node, model.model);
  if (key == "context_length") return read_value(node, model.context_length);
  if (key == "kv_type") return read_value(node, model.kv_type);
  if (key == "kv_tokens") return read_value(node, model.kv_tokens);
  if (key == "keep_alive") return read_value(node, model.keep_alive);
  if (key == "pin") return read_value(node, model.pin);
  if (key == "speculate") return read_value(node, model.speculate);
  if (key == "draft_model") return read_value(node, model.draft_model);
  if (key == "chat_template_file") return read_value(node, model.chat_template_file);
  if (key == "system") return read_value(node, model.system);
  if (key == "max_tokens") return read_value(node, model.max_tokens);
  if (key == "stop") return read_value(node, model.stop);
  return unknown_key(key, {"model", "context_length", "kv_type", "kv_tokens", "keep_alive", "pin", "speculate",
                           "draft_model", "chat_template_file", "system", "max_tokens", "stop", "sampling"});
}

Status check_key(std::string_view key, const YamlNode& node, const ModelSettings& model) {
  for (const std::string_view shared : {"context_length", "kv_type", "kv_tokens"}) {
    if (key != shared) continue;
    const Status status = check_as_setting(shared, node.text);
    // The key is named by the caller.
    if (!status.ok()) return invalid_argument(status.message().substr(shared.size() + 2));
  }
  if (key == "max_tokens" && *model.max_tokens < -1) return invalid_argument("is less than -1");
  if (key == "model" && model.model.empty()) return invalid_argument("is empty");
  if (key == "stop") {
    for (const std::string& text : model.stop) {
      if (text.empty()) return invalid_argument("an item of the list is empty");
    }
  }
  return {};
}

std::string normal_name(std::string_view name) {
  std::string out;
  for (const char c : name)
    out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  const std::size_t slash = out.rfind('/');
  const bool tagged = out.find(':', slash == std::string::npos ? 0 : slash) != std::string::npos;
  if (!tagged && !out.ends_with('*')) out += ":latest";
  return out;
}

}  // namespace

Result<ModelSettings> parse_model_settings(std::string_view text, const std::string& path) {
  MLXR_ASSIGN_OR_RETURN(const YamlNode root, parse_yaml(text, path));
  ModelSettings model;
  model.source = path;
  model.model = std::filesystem::path(path).stem().string();
  if (root.kind == Kind::kNull) return model;
  if (root.kind != Kind::kMapping) return yaml_error(path, root, "is not a mapping of keys to values");
  for (const auto& [key, value] : root.entries) {
    if (key.text == "sampling") {
      MLXR_RETURN_IF_ERROR(read_sampling(value, path, model.sampling));
      continue;
    }
    Status status = read_key(key.text, value, model);
    const bool known = status.ok() || !status.message().starts_with("there is no key");
    if (status.ok()) status = check_key(key.text, value, model);
    if (!status.ok()) {
      return yaml_error(path, key, known ? fmt::format("{}: {}", key.text, status.message()) : status.message());
    }
  }
  if (model.chat_template_file && !model.chat_template_file->empty()) {
    const std::filesystem::path file = *model.chat_template_file;
    if (file.is_relative()) model.chat_template_file = (std::filesystem::path(path).parent_path() / file).string();
  }
  return model;
}

Result<ModelSettingsFolder> ModelSettingsFolder::load(const std::string& folder) {
  ModelSettingsFolder loaded;
  std::error_code error;
  std::vector<std::string> paths;
  std::filesystem::directory_iterator entry(folder, error);
  if (error == std::errc::no_such_file_or_directory) return loaded;
  for (const std::filesystem::directory_iterator end; !error && entry != end; entry.increment(error)) {
    const std::filesystem::path& path = entry->path();
    const std::string extension = path.extension().string();
    if ((extension == ".yaml" || extension == ".yml") && !path.filename().string().starts_with('.')) {
      paths.push_back(path.string());
    }
    if (paths.size() > kMaxFiles) return resource_exhausted(fmt::format("{}: more than {} files", folder, kMaxFiles));
  }
  if (error) return internal(fmt::format("{}: cannot be listed: {}", folder, error.message()));
  std::sort(paths.begin(), paths.end());
  for (const std::string& path : paths) {
    MLXR_ASSIGN_OR_RETURN(const std::optional<std::string> text, read_yaml_file(path));
    if (!text) continue;
    MLXR_ASSIGN_OR_RETURN(ModelSettings model, parse_model_settings(*text, path));
    const std::string name = normal_name(model.model);
    for (const ModelSettings& other : loaded.models_) {
      if (normal_name(other.model) == name) {
        return invalid_argument(
            fmt::format("{}: the model \"{}\" has settings in {} too", path, model.model, other.source));
      }
    }
    loaded.models_.push_back(std::move(model));
  }
  return loaded;
}

const ModelSettings* ModelSettingsFolder::find(std::string_view model) const {
  const std::string wanted = normal_name(model);
  const ModelSettings* best = nullptr;
  std::size_t best_length = 0;
  for (const ModelSettings& candidate : models_) {
    const std::string name = normal_name(candidate.model);
    if (name == wanted) return &candidate;
    const std::size_t length = name.size() - 1;
    if (!name.ends_with('*') || !std::string_view(wanted).starts_with(std::string_view(name).substr(0, length)))
      continue;
    if (best == nullptr || length > best_length) {
      best = &candidate;
      best_length = length;
    }
  }
  return best;
}

}  // namespace mlxr
