#include "daemon/server/daemon_flags.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include <fmt/core.h>

#include "daemon/settings/settings.h"

namespace mlxr::server {
namespace {

// "--http-threads" -> "http_threads".
std::string key_of(std::string_view flag) {
  std::string key(flag.substr(2));
  std::ranges::replace(key, '-', '_');
  return key;
}

}  // namespace

Result<DaemonFlags> parse_daemon_flags(std::span<const char* const> arguments) {
  DaemonFlags out;
  SettingsInputs& settings = out.options.settings;
  settings.path = default_settings_path();
  settings.environment = settings_environment();
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    std::string_view argument = arguments[i];
    if (argument == "--help" || argument == "-h") {
      out.action = DaemonFlags::Action::kHelp;
      return out;
    }
    if (argument == "--version") {
      out.action = DaemonFlags::Action::kVersion;
      return out;
    }
    if (!argument.starts_with("--")) return invalid_argument(fmt::format("unexpected argument '{}'", argument));
    std::optional<std::string> value;
    if (const std::size_t equals = argument.find('='); equals != std::string_view::npos) {
      value = std::string(argument.substr(equals + 1));
      argument = argument.substr(0, equals);
    }
    const std::string key = key_of(argument);
    const SettingInfo* info = find_setting(key);
    if (key != "config" && info == nullptr) return unknown_setting(key).with_context(std::string(argument));
    const bool next_is_flag = i + 1 < arguments.size() && std::string_view(arguments[i + 1]).starts_with("--");
    if (!value && info != nullptr && info->type == SettingType::kBool && (i + 1 == arguments.size() || next_is_flag)) {
      value = "true";
    } else if (!value) {
      if (i + 1 == arguments.size()) return invalid_argument(fmt::format("{} needs a value", argument));
      value = arguments[++i];
    }
    if (key == "config") {
      settings.path = *value;
      settings.path_required = true;
    } else {
      settings.flags[key] = *value;
    }
  }
  return out;
}

std::string daemon_help() {
  std::string text =
      "mlxrunnerd: serves models over HTTP, on a Unix socket and, when asked to, on TCP\n\n"
      "usage: mlxrunnerd [--config FILE] [--SETTING VALUE]...\n\n"
      "  --config FILE             settings, instead of server.yaml in the user's config folder\n"
      "  --version                 print the version\n"
      "  --help                    print this\n";
  std::string_view group;
  for (const SettingInfo& info : setting_infos()) {
    if (info.group != group) text += fmt::format("\n{}\n", info.group);
    group = info.group;
    text += fmt::format("  {:<25} {}\n", info.flag(), info.help);
  }
  return text;
}

}  // namespace mlxr::server
