#include "daemon/registry/folder_view.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <set>
#include <system_error>

#include <fmt/core.h>

#include "core/io/shard_name.h"
#include "daemon/registry/digest.h"
#include "daemon/registry/file_stamp.h"
#include "daemon/registry/visible_text.h"

namespace mlxr {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxPartBytes = 255;
constexpr std::size_t kMaxNameBytes = 1024;

bool is_in_view(const Layer& layer) {
  return !layer.name.empty() && (layer.media_type == media::kFile || layer.media_type == media::kModel);
}

bool is_whole(const std::string& folder, const Manifest& manifest) {
  return std::all_of(manifest.layers.begin(), manifest.layers.end(), [&](const Layer& layer) {
    if (!is_in_view(layer)) return true;
    const auto stamp = file_stamp(folder + "/" + layer.name);
    return stamp && stamp->is_file && stamp->size_bytes == layer.size_bytes;
  });
}

Status check_layers(const std::string& models_folder, const Manifest& manifest) {
  std::set<std::string> names;
  for (const Layer& layer : manifest.layers) {
    if (!is_in_view(layer)) continue;
    const std::string shown = visible_text(layer.name, 100);
    if (!is_safe_file_name(layer.name)) return corrupt(fmt::format("a layer's name \"{}\" is no file name", shown));
    if (!names.insert(layer.name).second) return corrupt(fmt::format("two layers are named \"{}\"", shown));
    if (!file_stamp(models_folder + "/blobs/" + blob_file_name(layer.digest))) {
      return not_found(fmt::format("the blob {} of \"{}\" is missing; pull the model again", layer.digest, shown));
    }
  }
  return {};
}

Status fill(const std::string& folder, const Manifest& manifest) {
  std::error_code error;
  for (const Layer& layer : manifest.layers) {
    if (!is_in_view(layer)) continue;
    const fs::path link = fs::path(folder) / layer.name;
    fs::create_directories(link.parent_path(), error);
    // Relative, so that the models may be moved: out of FOLDER and of the folders in the name.
    const auto depth = std::count(layer.name.begin(), layer.name.end(), '/') + 2;
    std::string target;
    for (std::ptrdiff_t i = 0; i < depth; ++i)
      target += "../";
    fs::create_symlink(target + "blobs/" + blob_file_name(layer.digest), link, error);
    if (error) return internal(fmt::format("{}: cannot link: {}", link.string(), error.message()));
  }
  return {};
}

}  // namespace

bool is_safe_file_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxNameBytes || name.front() == '/') return false;
  for (const char c : name) {
    if (static_cast<unsigned char>(c) < 0x20 || c == '\\' || c == 0x7F) return false;
  }
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    const std::string_view part = name.substr(begin, end - begin);
    if (part.empty() || part == "." || part == ".." || part.size() > kMaxPartBytes) return false;
    begin = end + 1;
  }
  return true;
}

bool needs_folder_view(const Manifest& manifest) {
  return std::any_of(manifest.layers.begin(), manifest.layers.end(), is_in_view);
}

std::string folder_view_path(const std::string& models_folder, const Manifest& manifest) {
  return models_folder + "/folders/" + manifest.digest.substr(manifest.digest.find(':') + 1);
}

Result<std::string> make_folder_view(const std::string& models_folder, const Manifest& manifest) {
  static std::atomic<int> counter{0};
  MLXR_RETURN_IF_ERROR(check_layers(models_folder, manifest));
  const std::string folder = folder_view_path(models_folder, manifest);
  if (is_whole(folder, manifest)) return folder;
  const std::string temporary =
      fmt::format("{}/folders/.mlxr-view-{}-{}", models_folder, ::getpid(), counter.fetch_add(1));
  std::error_code error;
  fs::remove_all(temporary, error);
  fs::create_directories(temporary, error);
  if (error) return internal(fmt::format("{}: cannot make the folder: {}", temporary, error.message()));
  Status status = fill(temporary, manifest);
  if (status.ok()) {
    fs::remove_all(folder, error);
    fs::rename(temporary, folder, error);
    // Somebody else may have made the same view meanwhile.
    if (error && !is_whole(folder, manifest)) {
      status = internal(fmt::format("{}: cannot make the folder: {}", folder, error.message()));
    }
  }
  std::error_code ignored;
  fs::remove_all(temporary, ignored);
  if (!status.ok()) return status;
  return folder;
}

void remove_folder_view(const std::string& models_folder, const Manifest& manifest) {
  std::error_code error;
  fs::remove_all(folder_view_path(models_folder, manifest), error);
}

Result<std::string> folder_view_model(const std::string& models_folder, const Manifest& manifest) {
  MLXR_ASSIGN_OR_RETURN(std::string folder, make_folder_view(models_folder, manifest));
  for (const Layer& layer : manifest.layers) {
    if (layer.media_type != media::kModel || layer.name.empty()) continue;
    const auto shard = parse_shard_name(layer.name, ".gguf");
    if (!shard || shard->number == 1) return folder + "/" + layer.name;
  }
  return folder;
}

}  // namespace mlxr
