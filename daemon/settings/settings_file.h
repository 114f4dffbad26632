#pragma once
// SettingsFile: the settings in force and where each comes from. Flags win over the environment (MLXR_NAME), that over
// server.yaml, that over the defaults.
//
// server.yaml is one mapping of keys. Its bytes are hostile: size, depth and number of nodes are bounded; anchors,
// aliases, tags and a second document are refused; a key that is unknown or given twice is an error that names the
// line.
//
// Threads: settings() and list() from any thread, reload() from one at a time.

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/settings/settings.h"

namespace mlxr {

enum class SettingSource : std::uint8_t { kDefault, kFile, kEnvironment, kFlag };
std::string_view setting_source_name(SettingSource source);

struct SettingValue {
  const SettingInfo* info = nullptr;
  std::string value;
  std::string default_value;
  SettingSource source = SettingSource::kDefault;
  std::string where;  // "/home/a/.config/mlxrunner/server.yaml:12", "MLXR_HTTP", "--http"; empty for a default
};

struct SettingsInputs {
  std::string path = {};                                       // of server.yaml; need not exist
  bool path_required = false;                                  // it was named by somebody: then it must
  std::map<std::string, std::string> environment = {};         // MLXR_* variables; others are ignored
  std::map<std::string, std::string, std::less<>> flags = {};  // by key: "http_threads" -> "4"
};

// MLXR_CONFIG, else server.yaml in the user's config folder; empty when the environment names no home.
std::string default_settings_path();
// The MLXR_* variables of this process.
std::map<std::string, std::string> settings_environment();

struct SettingsReload {
  std::vector<std::string> applied;        // changed, and in force now
  std::vector<std::string> needs_restart;  // changed, and in force at the next start
};

class SettingsFile {
 public:
  // Errors are one line that names file and line, variable or flag.
  static Result<std::unique_ptr<SettingsFile>> load(SettingsInputs inputs);

  // What is in force. Kept by whoever holds it, whatever is reloaded.
  std::shared_ptr<const Settings> settings() const;
  // All settings in the order of the rows, as the file says now.
  std::vector<SettingValue> list() const;
  // kNotFound: no such setting.
  Result<SettingValue> get(std::string_view name) const;
  // Reads file and environment again. On an error all stays as it was.
  Result<SettingsReload> reload();
  const std::string& path() const { return inputs_.path; }

 private:
  struct State {
    Settings settings;
    std::vector<SettingValue> values;
  };
  explicit SettingsFile(SettingsInputs inputs) : inputs_(std::move(inputs)) {}
  static Result<State> read(const SettingsInputs& inputs);

  SettingsInputs inputs_;
  mutable std::mutex mutex_;  // guards what follows
  std::shared_ptr<const Settings> in_force_;
  std::vector<SettingValue> values_;
};

// Changes one key of a server.yaml, which is made when it does not exist: the value's own lines change, everything else
// stays as it is, comments too. The value and the whole file are checked before anything is written.
Status write_setting(const std::string& path, std::string_view name, std::string_view value);
// Takes a key out, so that its default counts again. Does nothing when it is not there.
Status remove_setting(const std::string& path, std::string_view name);
// The settings that the text of a server.yaml gives, over the defaults; `path` is for errors.
Result<Settings> parse_settings(std::string_view text, const std::string& path);

}  // namespace mlxr
