#pragma once
// Where this user's files belong on this system.

#include <optional>
#include <string>

namespace mlxr {

// For what can be made again: $XDG_CACHE_HOME/mlxrunner or ~/.cache/mlxrunner; on macOS
// ~/Library/Application Support/MLXRunner/cache. nullopt when the environment names no home. Makes nothing.
std::optional<std::string> user_cache_folder();

}  // namespace mlxr
