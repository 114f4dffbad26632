#pragma once
// Where this user's files belong on this system: the XDG base directories, on macOS the Library. nullopt when the
// environment names no home; a relative path in a variable counts as none. Nothing is made.

#include <optional>
#include <string>

namespace mlxr {

// What can be made again: $XDG_CACHE_HOME/mlxrunner or ~/.cache/mlxrunner; macOS:
// ~/Library/Application Support/MLXRunner/cache.
std::optional<std::string> user_cache_folder();

// Models and the database: $XDG_DATA_HOME/mlxrunner or ~/.local/share/mlxrunner; macOS:
// ~/Library/Application Support/MLXRunner.
std::optional<std::string> user_data_folder();

// What people write: $XDG_CONFIG_HOME/mlxrunner or ~/.config/mlxrunner; macOS: the data folder.
std::optional<std::string> user_config_folder();

// Logs: $XDG_STATE_HOME/mlxrunner or ~/.local/state/mlxrunner; macOS: ~/Library/Logs/MLXRunner.
std::optional<std::string> user_state_folder();

// The socket: $XDG_RUNTIME_DIR/mlxrunner, else "run" in the state folder (a session without a runtime folder); macOS:
// "run" in the data folder.
std::optional<std::string> user_runtime_folder();

}  // namespace mlxr
