#include "core/runtime/user_folders.h"

#include <cstdlib>

namespace mlxr {
namespace {

std::optional<std::string> absolute_path_in(const char* variable) {
  const char* value = std::getenv(variable);
  if (value == nullptr || value[0] != '/') return std::nullopt;
  return std::string(value);
}

}  // namespace

std::optional<std::string> user_cache_folder() {
#ifdef __APPLE__
  if (const auto home = absolute_path_in("HOME")) return *home + "/Library/Application Support/MLXRunner/cache";
#else
  if (const auto cache = absolute_path_in("XDG_CACHE_HOME")) return *cache + "/mlxrunner";
  if (const auto home = absolute_path_in("HOME")) return *home + "/.cache/mlxrunner";
#endif
  return std::nullopt;
}

}  // namespace mlxr
