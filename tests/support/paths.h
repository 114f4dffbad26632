#pragma once
// Where tests find their files. MLXR_SOURCE_DIR is set by cmake/floor.cmake.

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

namespace mlxr::test {

// tests/fixtures/NAME of the repository.
inline std::string fixture(const std::string& name) {
  return std::string(MLXR_SOURCE_DIR) + "/tests/fixtures/" + name;
}

// A file of the starter model's folder.
inline std::string sprout(const std::string& name) {
  return std::string(MLXR_SOURCE_DIR) + "/models/sprout/" + name;
}

// A file of the shared material, which is not part of the repository; nullopt when it is not there, and the test then
// skips and says so.
inline std::optional<std::string> shared(const std::string& name) {
  const char* variable = std::getenv("MLXR_SHARED_DIR");
  const std::string root = variable != nullptr ? variable : std::string(MLXR_SOURCE_DIR) + "/../shared";
  const std::string path = root + "/" + name;
  if (!std::filesystem::exists(path)) return std::nullopt;
  return path;
}

}  // namespace mlxr::test
