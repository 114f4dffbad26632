#include "daemon/settings/settings_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <fmt/core.h>

#include "core/runtime/user_folders.h"
#include "daemon/settings/settings_yaml.h"

extern "C" char** environ;  // NOLINT: POSIX has it in no header that all systems share

namespace mlxr {
namespace {

constexpr std::string_view kPrefix = "MLXR_";

}  // namespace

std::string_view setting_source_name(SettingSource source) {
  switch (source) {
    case SettingSource::kDefault:
      return "default";
    case SettingSource::kFile:
      return "file";
    case SettingSource::kEnvironment:
      return "environment";
    case SettingSource::kFlag:
      return "flag";
  }
  return "";
}

std::string default_settings_path() {
  const char* named = std::getenv("MLXR_CONFIG");
  if (named != nullptr && *named != '\0') return named;
  const std::optional<std::string> folder = user_config_folder();
  return folder ? *folder + "/server.yaml" : "";
}

std::map<std::string, std::string> settings_environment() {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (!text.starts_with(kPrefix) || equals == std::string_view::npos) continue;
    variables.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return variables;
}

Result<SettingsFile::State> SettingsFile::read(const SettingsInputs& inputs) {
  State state;
  const Settings defaults;
  for (const SettingInfo& info : setting_infos()) {
    const std::string text = setting_text(defaults, info.name);
    state.values.push_back({&info, text, text, SettingSource::kDefault, ""});
  }
  const auto came_from = [&](const SettingInfo& info, SettingSource source, std::string where) {
    SettingValue& value = state.values[static_cast<std::size_t>(&info - setting_infos().data())];
    value.value = setting_text(state.settings, info.name);
    value.source = source;
    value.where = std::move(where);
  };

  if (!inputs.path.empty()) {
    MLXR_ASSIGN_OR_RETURN(const std::optional<std::string> text, read_yaml_file(inputs.path));
    if (!text && inputs.path_required) return not_found(inputs.path + ": does not exist");
    if (text) {
      MLXR_ASSIGN_OR_RETURN(const YamlNode root, parse_yaml(*text, inputs.path));
      MLXR_RETURN_IF_ERROR(apply_yaml(root, inputs.path, state.settings, [&](const SettingInfo& info, int line) {
        came_from(info, SettingSource::kFile, fmt::format("{}:{}", inputs.path, line));
      }));
    }
  }
  for (const SettingInfo& info : setting_infos()) {
    const auto variable = inputs.environment.find(info.environment());
    if (variable == inputs.environment.end()) continue;
    const Status status = set_setting(state.settings, info.name, variable->second);
    if (!status.ok()) return status.with_context("environment variable " + info.environment());
    came_from(info, SettingSource::kEnvironment, info.environment());
  }
  for (const auto& [name, text] : inputs.flags) {
    const SettingInfo* info = find_setting(name);
    if (info == nullptr) return unknown_setting(name);
    const Status status = set_setting(state.settings, name, text);
    if (!status.ok()) return status.with_context(info->flag());
    came_from(*info, SettingSource::kFlag, info->flag());
  }
  const Status valid = state.settings.validate();
  if (!valid.ok()) return inputs.path.empty() ? valid : valid.with_context(inputs.path);
  return state;
}

Result<std::unique_ptr<SettingsFile>> SettingsFile::load(SettingsInputs inputs) {
  MLXR_ASSIGN_OR_RETURN(State state, read(inputs));
  std::unique_ptr<SettingsFile> file(new SettingsFile(std::move(inputs)));
  file->in_force_ = std::make_shared<const Settings>(std::move(state.settings));
  file->values_ = std::move(state.values);
  return file;
}

std::shared_ptr<const Settings> SettingsFile::settings() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return in_force_;
}

std::vector<SettingValue> SettingsFile::list() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return values_;
}

Result<SettingValue> SettingsFile::get(std::string_view name) const {
  const SettingInfo* info = find_setting(name);
  if (info == nullptr) return unknown_setting(name);
  const std::lock_guard<std::mutex> lock(mutex_);
  return values_[static_cast<std::size_t>(info - setting_infos().data())];
}

Result<SettingsReload> SettingsFile::reload() {
  MLXR_ASSIGN_OR_RETURN(State state, read(inputs_));
  const std::shared_ptr<const Settings> before = settings();
  SettingsReload changes;
  for (std::string& name : changed_settings(*before, state.settings)) {
    if (find_setting(name)->applies == SettingApplies::kAtOnce) {
      changes.applied.push_back(std::move(name));
      continue;
    }
    MLXR_RETURN_IF_ERROR(set_setting(state.settings, name, setting_text(*before, name)));
    changes.needs_restart.push_back(std::move(name));
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  in_force_ = std::make_shared<const Settings>(std::move(state.settings));
  values_ = std::move(state.values);
  return changes;
}

Result<Settings> parse_settings(std::string_view text, const std::string& path) {
  MLXR_ASSIGN_OR_RETURN(const YamlNode root, parse_yaml(text, path));
  Settings settings;
  MLXR_RETURN_IF_ERROR(apply_yaml(root, path, settings, [](const SettingInfo& /*info*/, int /*line*/) {}));
  const Status valid = settings.validate();
  if (!valid.ok()) return valid.with_context(path);
  return settings;
}

}  // namespace mlxr
