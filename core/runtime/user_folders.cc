#include "core/runtime/user_folders.h"

#include <cstdlib>

namespace mlxr {
namespace {

std::optional<std::string> absolute_path_in(const char* variable) {
  const char* value = std::getenv(variable);
  if (value == nullptr || value[0] != '/') return std::nullopt;
  return std::string(value);
}

std::optional<std::string> in_home(const char* folder) {
  if (const auto home = absolute_path_in("HOME")) return *home + folder;
  return std::nullopt;
}

#ifndef __APPLE__
std::optional<std::string> xdg_folder(const char* variable, const char* folder_in_home) {
  if (const auto folder = absolute_path_in(variable)) return *folder + "/mlxrunner";
  return in_home(folder_in_home);
}
#endif

}  // namespace

#ifdef __APPLE__

std::optional<std::string> user_cache_folder() {
  return in_home("/Library/Application Support/MLXRunner/cache");
}

std::optional<std::string> user_data_folder() {
  return in_home("/Library/Application Support/MLXRunner");
}

std::optional<std::string> user_config_folder() {
  return user_data_folder();
}

std::optional<std::string> user_state_folder() {
  return in_home("/Library/Logs/MLXRunner");
}

std::optional<std::string> user_runtime_folder() {
  return in_home("/Library/Application Support/MLXRunner/run");
}

#else

std::optional<std::string> user_cache_folder() {
  return xdg_folder("XDG_CACHE_HOME", "/.cache/mlxrunner");
}

std::optional<std::string> user_data_folder() {
  return xdg_folder("XDG_DATA_HOME", "/.local/share/mlxrunner");
}

std::optional<std::string> user_config_folder() {
  return xdg_folder("XDG_CONFIG_HOME", "/.config/mlxrunner");
}

std::optional<std::string> user_state_folder() {
  return xdg_folder("XDG_STATE_HOME", "/.local/state/mlxrunner");
}

std::optional<std::string> user_runtime_folder() {
  if (const auto folder = absolute_path_in("XDG_RUNTIME_DIR")) return *folder + "/mlxrunner";
  if (const auto state = user_state_folder()) return *state + "/run";
  return std::nullopt;
}

#endif

}  // namespace mlxr
