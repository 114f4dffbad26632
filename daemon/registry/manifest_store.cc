#include "daemon/registry/manifest_store.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <system_error>

#include <fmt/core.h>

#include "core/base/atomic_file.h"
#include "core/io/json_file.h"
#include "daemon/registry/file_stamp.h"

namespace mlxr {
namespace {

namespace fs = std::filesystem;

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::vector<std::string> entries_of(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::string name = it->path().filename().string();
    if (!name.starts_with('.')) names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::optional<ManifestFile> manifest_file(ModelName name, std::string path) {
  const auto stamp = file_stamp(path);
  if (!stamp || !stamp->is_file) return std::nullopt;
  return ManifestFile{std::move(name), std::move(path), stamp->size_bytes, stamp->modified_ns};
}

// The entry of `folder` that is `name` but for case; `name` itself when it is there or none is.
std::string spelled_as(const std::string& folder, const std::string& name) {
  struct stat info {};
  if (::lstat((folder + "/" + name).c_str(), &info) == 0) return name;
  const std::string wanted = lower_case(name);
  for (const std::string& entry : entries_of(folder)) {
    if (lower_case(entry) == wanted) return entry;
  }
  return name;
}

Status no_model(const ModelName& name) {
  return not_found(fmt::format("model \"{}\" not found", name.display()));
}

}  // namespace

ManifestStore::ManifestStore(std::string models_folder) : folder_(std::move(models_folder) + "/manifests") {}

std::vector<ManifestFile> ManifestStore::list() const {
  std::vector<ManifestFile> files;
  for (const std::string& host : entries_of(folder_)) {
    for (const std::string& name_space : entries_of(folder_ + "/" + host)) {
      for (const std::string& model : entries_of(folder_ + "/" + host + "/" + name_space)) {
        const std::string folder = folder_ + "/" + host + "/" + name_space + "/" + model;
        for (const std::string& tag : entries_of(folder)) {
          auto name = model_name_of_parts(host, name_space, model, tag);
          if (!name.ok()) continue;
          if (auto file = manifest_file(std::move(name).value(), folder + "/" + tag)) files.push_back(std::move(*file));
        }
      }
    }
  }
  return files;
}

std::string ManifestStore::path_of(const ModelName& name) const {
  std::string path = folder_;
  for (const std::string* part : {&name.host, &name.name_space, &name.model, &name.tag}) {
    path += "/" + spelled_as(path, *part);
  }
  return path;
}

Result<ManifestFile> ManifestStore::find(const ModelName& name) const {
  std::string path = path_of(name);
  // The name as it is spelled on disk.
  const std::string relative = path.substr(folder_.size() + 1);
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= relative.size();) {
    const std::size_t end = std::min(relative.find('/', begin), relative.size());
    parts.push_back(relative.substr(begin, end - begin));
    begin = end + 1;
  }
  MLXR_ASSIGN_OR_RETURN(ModelName spelled, model_name_of_parts(parts[0], parts[1], parts[2], parts[3]));
  auto file = manifest_file(std::move(spelled), std::move(path));
  if (!file) return no_model(name);
  return *file;
}

Result<Manifest> ManifestStore::read(const ModelName& name) const {
  MLXR_ASSIGN_OR_RETURN(const ManifestFile file, find(name));
  return read(file);
}

Result<Manifest> ManifestStore::read(const ManifestFile& file) const {
  auto bytes = read_text_file(file.path, kMaxManifestBytes);
  if (!bytes.ok() && bytes.status().code() == StatusCode::kNotFound) return no_model(file.name);
  if (!bytes.ok()) return bytes.status();
  return parse_manifest(*bytes, file.path);
}

Status ManifestStore::write(const ModelName& name, const Manifest& manifest) {
  const std::string path = path_of(name);
  // Another process that removes the last model of a folder takes the folder away between the two steps.
  for (int attempt = 0;; ++attempt) {
    std::error_code error;
    fs::create_directories(fs::path(path).parent_path(), error);
    if (error) return internal(fmt::format("{}: cannot make its folder: {}", path, error.message()));
    const Status written = write_file_atomically(path, manifest.bytes);
    if (written.ok() || written.code() != StatusCode::kNotFound || attempt == 3) return written;
  }
}

Status ManifestStore::remove(const ModelName& name) {
  MLXR_ASSIGN_OR_RETURN(const ManifestFile file, find(name));
  if (::unlink(file.path.c_str()) != 0) {
    if (errno == ENOENT) return no_model(name);
    return internal(fmt::format("{}: cannot remove: {}", file.path, std::strerror(errno)));
  }
  // The folders that this leaves empty; rmdir refuses others.
  std::string folder = file.path;
  for (int level = 0; level < 3; ++level) {
    folder = folder.substr(0, folder.rfind('/'));
    if (::rmdir(folder.c_str()) != 0) break;
  }
  sync_folder(folder);
  return {};
}

}  // namespace mlxr
