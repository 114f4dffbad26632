#include "core/runtime/model_path.h"

#include <fmt/core.h>

#ifdef __APPLE__
#include <mach-o/dyld.h>
#endif

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <string_view>
#include <system_error>

#include "core/runtime/user_folders.h"

namespace mlxr {
namespace {

namespace fs = std::filesystem;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

fs::path executable() {
  std::error_code error;
#ifdef __APPLE__
  std::string path(4096, '\0');
  auto size = static_cast<std::uint32_t>(path.size());
  if (_NSGetExecutablePath(path.data(), &size) != 0) return {};
  return fs::canonical(path.c_str(), error);
#else
  return fs::read_symlink("/proc/self/exe", error);
#endif
}

bool is_main_model(const fs::path& file) {
  if (file.extension() != ".gguf") return false;
  const std::string name = file.filename().string();
  const bool side = name.starts_with("mmproj-") || name.find("-draft") != std::string::npos ||
                    name.find("-lora") != std::string::npos || name.find("-vocab") != std::string::npos;
  // Of a split set the first file stands for all.
  const bool later_shard = name.find("-of-") != std::string::npos && name.find("-00001-of-") == std::string::npos;
  return !side && !later_shard;
}

// The GGUF file of a folder when there is exactly one candidate.
std::optional<fs::path> single_gguf(const fs::path& folder) {
  std::optional<fs::path> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (!is_main_model(entry.path())) continue;
    if (found) return std::nullopt;
    found = entry.path();
  }
  return found;
}

// An existing path as something that opens: folders with weights in Hugging Face layout stay folders.
fs::path openable(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path, error) || fs::exists(path / "config.json", error)) return path;
  return single_gguf(path).value_or(path);
}

}  // namespace

std::vector<std::string> model_folders() {
  std::vector<fs::path> candidates;
  std::string list = environment("MLXR_MODELS");
  while (!list.empty()) {
    const std::size_t end = list.find(':');
    if (end != 0) candidates.emplace_back(list.substr(0, end));
    list = end == std::string::npos ? "" : list.substr(end + 1);
  }
  if (const auto data = user_data_folder()) candidates.push_back(fs::path(*data) / "models");
  if (const fs::path program = executable(); !program.empty()) {
    const fs::path folder = program.parent_path();
    candidates.push_back(folder.parent_path() / "share/mlxr/models");                   // PREFIX/bin
    candidates.push_back(folder.parent_path().parent_path().parent_path() / "models");  // build/PRESET/bin
  }
  std::vector<std::string> folders;
  std::error_code error;
  for (const fs::path& folder : candidates) {
    if (fs::is_directory(folder, error)) folders.push_back(folder.string());
  }
  return folders;
}

std::vector<NamedModel> named_models() {
  std::map<std::string, std::string> found;
  std::error_code error;
  for (const std::string& folder : model_folders()) {
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
      const fs::path& path = it->path();
      if (path.filename().string().starts_with('.')) continue;
      const fs::path opens = openable(path);
      std::error_code ignored;
      if (fs::is_directory(opens, ignored)) {
        if (fs::exists(opens / "config.json", ignored)) found.emplace(path.filename().string(), opens.string());
      } else if (is_main_model(opens)) {
        const bool is_folder = opens != path;
        found.emplace(is_folder ? path.filename().string() : path.stem().string(), opens.string());
      }
    }
  }
  std::vector<NamedModel> models;
  for (auto& [name, path] : found)
    models.push_back({name, std::move(path)});
  return models;
}

Result<std::string> resolve_model(const std::string& model) {
  std::error_code error;
  if (model.empty()) return invalid_argument("the model's name is empty");
  if (fs::exists(model, error)) return openable(model).string();
  const std::vector<std::string> folders = model_folders();
  const bool looks_like_path = model.starts_with('.') || model.starts_with('/') || model.starts_with('~');
  if (!looks_like_path) {
    for (const std::string& folder : folders) {
      for (const fs::path& candidate : {fs::path(folder) / model, fs::path(folder) / (model + ".gguf")}) {
        if (fs::exists(candidate, error)) return openable(candidate).string();
      }
    }
  }
  std::string places;
  for (const std::string& folder : folders)
    places += (places.empty() ? "" : ", ") + folder;
  return not_found(fmt::format("no model \"{}\": no such file{}", model,
                               places.empty() || looks_like_path ? "" : ", and none of that name in " + places));
}

}  // namespace mlxr
