// mlxr config: the daemon's settings, in server.yaml.

#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "daemon/settings/settings_file.h"

namespace mlxr::cli {
namespace {

struct ConfigOptions {
  enum class Action : std::uint8_t { kList, kGet, kSet, kUnset, kPath };
  Action action = Action::kList;
  std::string file;
  std::string name;
  std::string value;
  bool changed = false;
};

Result<std::unique_ptr<SettingsFile>> load(const ConfigOptions& options) {
  SettingsInputs inputs;
  inputs.path = options.file.empty() ? default_settings_path() : options.file;
  inputs.path_required = !options.file.empty();
  inputs.environment = settings_environment();
  return SettingsFile::load(std::move(inputs));
}

nlohmann::ordered_json value_json(const SettingValue& value) {
  return {{"name", value.info->name},       {"value", value.value},
          {"default", value.default_value}, {"source", setting_source_name(value.source)},
          {"where", value.where},           {"unit", value.info->unit},
          {"help", value.info->help}};
}

Status list(const ConfigOptions& options, Output& output) {
  MLXR_ASSIGN_OR_RETURN(const auto settings, load(options));
  if (output.json()) {
    nlohmann::ordered_json values = nlohmann::ordered_json::array();
    for (const SettingValue& value : settings->list())
      values.push_back(value_json(value));
    output.write_json({{"path", settings->path()}, {"settings", std::move(values)}});
    return {};
  }
  Table table{.header = {"SETTING", "VALUE", "FROM"}, .align = {}, .rows = {}};
  for (const SettingValue& value : settings->list()) {
    if (options.changed && value.source == SettingSource::kDefault) continue;
    table.rows.push_back(
        {std::string(value.info->name), printable(value.value),
         value.where.empty() ? std::string(setting_source_name(value.source)) : printable(value.where)});
  }
  output.table(table);
  return {};
}

Status get(const ConfigOptions& options, Output& output) {
  MLXR_ASSIGN_OR_RETURN(const auto settings, load(options));
  MLXR_ASSIGN_OR_RETURN(const SettingValue value, settings->get(options.name));
  if (output.json()) {
    output.write_json(value_json(value));
  } else {
    output.line(printable(value.value));
  }
  return {};
}

Status change(const ConfigOptions& options, const std::string& path, Output& output) {
  if (path.empty()) return invalid_argument("no home folder in the environment: set HOME or MLXR_CONFIG");
  const bool set = options.action == ConfigOptions::Action::kSet;
  MLXR_RETURN_IF_ERROR(set ? write_setting(path, options.name, options.value) : remove_setting(path, options.name));
  const SettingInfo* info = find_setting(options.name);
  const bool at_once = info != nullptr && info->applies == SettingApplies::kAtOnce;
  if (output.json()) {
    output.write_json({{"path", path}, {"name", options.name}, {"needs_restart", !at_once}});
    return {};
  }
  output.line(
      fmt::format("{}: {}", printable(path),
                  at_once ? "a running daemon takes it over on SIGHUP" : "counts when the daemon starts again"));
  return {};
}

Status config(const ConfigOptions& options, Output& output) {
  const std::string path = options.file.empty() ? default_settings_path() : options.file;
  switch (options.action) {
    case ConfigOptions::Action::kList:
      return list(options, output);
    case ConfigOptions::Action::kGet:
      return get(options, output);
    case ConfigOptions::Action::kPath:
      if (output.json()) {
        output.write_json({{"path", path}});
      } else {
        output.line(path);
      }
      return {};
    case ConfigOptions::Action::kSet:
    case ConfigOptions::Action::kUnset:
      return change(options, path, output);
  }
  return {};
}

}  // namespace

CommandBody declare_config(CLI::App& app) {
  using Action = ConfigOptions::Action;
  auto options = std::make_shared<ConfigOptions>();
  app.require_subcommand(1);
  app.add_option("--file", options->file, "a server.yaml instead of the usual one");
  const auto add = [&](const char* name, const char* help, Action action) {
    CLI::App* sub = app.add_subcommand(name, help);
    sub->fallthrough();
    sub->callback([options, action] { options->action = action; });
    return sub;
  };
  CLI::App* all = add("list", "Show all settings and where they come from", Action::kList);
  all->add_flag("--changed", options->changed, "only those that are not the default");
  add("path", "Say where server.yaml is", Action::kPath);
  CLI::App* one = add("get", "Show a setting", Action::kGet);
  CLI::App* set = add("set", "Write a setting into server.yaml", Action::kSet);
  CLI::App* unset = add("unset", "Take a setting out of server.yaml: its default counts again", Action::kUnset);
  for (CLI::App* sub : {one, set, unset})
    sub->add_option("setting", options->name, "its name")->required();
  set->add_option("value", options->value, "its value")->required();
  return [options](Output& output) { return config(*options, output); };
}

}  // namespace mlxr::cli
