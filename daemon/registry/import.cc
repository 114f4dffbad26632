#include "daemon/registry/import.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>
#include <system_error>

#include <fmt/core.h>

#include "core/io/gguf.h"
#include "core/io/json_file.h"
#include "core/io/shard_name.h"
#include "daemon/registry/file_stamp.h"
#include "daemon/registry/folder_view.h"
#include "daemon/registry/manifest_store.h"

namespace mlxr {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxDepth = 3;
constexpr std::size_t kMaxEntries = 20000;
constexpr std::size_t kMaxPartBytes = 80;
constexpr std::string_view kCachePrefix = "models--";

bool exists(const std::string& path) {
  return file_stamp(path).has_value();
}

bool is_folder(const std::string& path) {
  const auto stamp = file_stamp(path);
  return stamp && stamp->is_folder;
}

std::vector<std::string> entries_of(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::string name = it->path().filename().string();
    if (!name.starts_with('.')) names.push_back(std::move(name));
    if (names.size() == kMaxEntries) break;
  }
  std::sort(names.begin(), names.end());
  return names;
}

// A part of a name made of what a file is called.
std::string name_part(std::string_view text) {
  std::string part;
  for (const char c : text.substr(0, kMaxPartBytes)) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    if (letter || (!part.empty() && (c == '.' || c == '-'))) {
      part += c;
    } else if (!part.empty() && part.back() != '-') {
      part += '-';
    }
  }
  while (!part.empty() && part.back() == '-')
    part.pop_back();
  return part.empty() ? "model" : part;
}

// What a GGUF file is called without its extension, its number in a set and its quantisation.
struct FileTitle {
  std::string stem;
  std::string quantization;
};

FileTitle title_of(const std::string& file_name) {
  std::string stem = file_name;
  if (const auto shard = parse_shard_name(stem, ".gguf")) {
    stem = shard->prefix;
  } else if (stem.ends_with(".gguf")) {
    stem.resize(stem.size() - 5);
  }
  const std::string quantization = quantization_in_name(file_name);
  if (quantization.empty() || stem.size() <= quantization.size() + 1) return {stem, quantization};
  stem.resize(stem.size() - quantization.size());
  while (!stem.empty() && (stem.back() == '-' || stem.back() == '.' || stem.back() == '_'))
    stem.pop_back();
  return {stem, quantization};
}

bool is_gguf(const std::string& name) {
  return name.ends_with(".gguf");
}

bool is_projector_name(const std::string& name) {
  return name.starts_with("mmproj");
}

bool is_later_shard(const std::string& name) {
  const auto shard = parse_shard_name(name, ".gguf");
  return shard && shard->number != 1;
}

std::vector<std::string> projectors_in(const std::string& folder) {
  std::vector<std::string> paths;
  for (const std::string& name : entries_of(folder)) {
    if (is_gguf(name) && is_projector_name(name)) paths.push_back(folder + "/" + name);
  }
  // Several are the same projector in several types.
  if (paths.size() > 1) paths.resize(1);
  return paths;
}

std::string base_name(const std::string& path) {
  return fs::path(path).filename().string();
}

class Finder {
 public:
  explicit Finder(std::string root) : root_(std::move(root)) {}

  Result<std::vector<ImportCandidate>> run() {
    const auto stamp = file_stamp(root_);
    if (!stamp) return not_found(root_ + ": no such file or folder");
    if (stamp->is_file) {
      MLXR_RETURN_IF_ERROR(add_file());
    } else if (is_folder(root_ + "/manifests") && is_folder(root_ + "/blobs")) {
      add_ollama_store();
    } else if (is_cache(root_) || is_cache(root_ + "/hub")) {
      add_cache(is_cache(root_) ? root_ : root_ + "/hub");
    } else if (base_name(root_).starts_with(kCachePrefix)) {
      add_repository(root_);
    } else {
      add_folder(root_, 0);
    }
    if (found_.empty()) return invalid_argument(root_ + ": no model in it that can be imported");
    make_names_unique();
    return std::move(found_);
  }

 private:
  static bool is_cache(const std::string& folder) {
    const auto names = entries_of(folder);
    return std::any_of(names.begin(), names.end(), [](const std::string& n) { return n.starts_with(kCachePrefix); });
  }

  Status add_file() {
    std::string path = root_;
    if (const auto shard = parse_shard_name(path, ".gguf")) {
      path = shard_name({shard->prefix, 1, shard->count}, ".gguf");
    }
    MLXR_RETURN_IF_ERROR(GgufFile::open(path).status());
    const FileTitle title = title_of(base_name(path));
    add({.name = joined("", name_part(title.stem), title.quantization), .path = path, .source = "file"});
    return {};
  }

  void add(Catalog::ForeignModel model, std::string problem = {}) {
    found_.push_back({std::move(model), std::move(problem)});
  }

  static std::string joined(const std::string& prefix, const std::string& model, const std::string& tag) {
    return prefix + model + (tag.empty() ? "" : ":" + name_part(tag));
  }

  // GGUF files of a folder, under one name with their quantisation as the tag.
  void add_gguf_files(const std::string& folder, const std::string& prefix, const std::string& model,
                      const std::string& source) {
    const std::vector<std::string> projectors = projectors_in(folder);
    for (const std::string& name : entries_of(folder)) {
      if (!is_gguf(name) || is_projector_name(name) || is_later_shard(name)) continue;
      const FileTitle title = title_of(name);
      const std::string chosen = model.empty() ? name_part(title.stem) : model;
      add({.name = joined(prefix, chosen, title.quantization),
           .path = folder + "/" + name,
           .source = source,
           .projector_paths = projectors});
    }
  }

  void add_ollama_store() {
    for (const ManifestFile& file : ManifestStore(root_).list()) {
      const auto manifest = ManifestStore(root_).read(file);
      Catalog::ForeignModel model{.name = file.name.full(), .source = "ollama", .manifest_path = file.path};
      add(std::move(model), manifest.ok() ? "" : manifest.status().message());
    }
  }

  void add_cache(const std::string& cache) {
    for (const std::string& name : entries_of(cache)) {
      if (name.starts_with(kCachePrefix)) add_repository(cache + "/" + name);
    }
  }

  // models--ORG--NAME: the snapshot that refs/main names, else another ref's, else the newest.
  static std::string snapshot_of(const std::string& repository) {
    std::vector<std::string> refs = entries_of(repository + "/refs");
    std::stable_sort(refs.begin(), refs.end(),
                     [](const std::string& a, const std::string& b) { return (a == "main") > (b == "main"); });
    for (const std::string& ref : refs) {
      const auto revision = read_text_file(repository + "/refs/" + ref, 200);
      if (!revision.ok()) continue;
      std::string folder = *revision;
      while (!folder.empty() && (folder.back() == '\n' || folder.back() == '\r' || folder.back() == ' '))
        folder.pop_back();
      if (is_safe_file_name(folder) && is_folder(repository + "/snapshots/" + folder)) {
        return repository + "/snapshots/" + folder;
      }
    }
    std::string newest;
    std::int64_t newest_ns = -1;
    for (const std::string& name : entries_of(repository + "/snapshots")) {
      const std::string path = repository + "/snapshots/" + name;
      const auto stamp = file_stamp(path);
      if (stamp && stamp->is_folder && stamp->modified_ns > newest_ns) {
        newest = path;
        newest_ns = stamp->modified_ns;
      }
    }
    return newest;
  }

  void add_repository(const std::string& repository) {
    std::string id = base_name(repository).substr(kCachePrefix.size());
    const std::size_t dashes = id.find("--");
    const std::string organisation = dashes == std::string::npos ? "unknown" : id.substr(0, dashes);
    const std::string model = dashes == std::string::npos ? id : id.substr(dashes + 2);
    const std::string prefix = "hf.co/" + name_part(organisation) + "/";
    const std::string snapshot = snapshot_of(repository);
    if (snapshot.empty()) return;
    add_gguf_files(snapshot, prefix, name_part(model), "hugging-face");
    if (exists(snapshot + "/config.json") && has_safetensors(snapshot)) {
      add({.name = prefix + name_part(model), .path = snapshot, .source = "hugging-face"});
    }
  }

  static bool has_safetensors(const std::string& folder) {
    const auto names = entries_of(folder);
    return std::any_of(names.begin(), names.end(), [](const std::string& n) { return n.ends_with(".safetensors"); });
  }

  // LM Studio keeps PUBLISHER/REPO/FILE.gguf below its models folder.
  void add_folder(const std::string& folder, int depth) {
    const bool lm_studio = depth == 2;
    const std::string source = lm_studio ? "lm-studio" : "file";
    const std::string prefix = lm_studio ? name_part(base_name(fs::path(folder).parent_path().string())) + "/" : "";
    if (exists(folder + "/config.json") && has_safetensors(folder)) {
      add({.name = prefix + name_part(base_name(folder)), .path = folder, .source = source});
      return;
    }
    add_gguf_files(folder, prefix, lm_studio ? name_part(base_name(folder)) : "", source);
    if (depth == kMaxDepth) return;
    for (const std::string& name : entries_of(folder)) {
      const std::string path = folder + "/" + name;
      std::error_code error;
      // Links to folders could lead in circles.
      if (is_folder(path) && !fs::is_symlink(path, error)) add_folder(path, depth + 1);
    }
  }

  // Two files may lead to one name; the second gets the file's name for a tag.
  void make_names_unique() {
    std::set<std::string> keys;
    for (ImportCandidate& candidate : found_) {
      for (int attempt = 0;; ++attempt) {
        const auto name = parse_model_name(candidate.model.name);
        if (!name.ok()) {
          candidate.problem = name.status().message();
          break;
        }
        if (keys.insert(name->key()).second) break;
        ModelName other = *name;
        other.tag = attempt == 0 ? name_part(title_of(base_name(candidate.model.path)).stem)
                                 : fmt::format("{}-{}", name_part(name->tag).substr(0, 60), attempt + 1);
        candidate.model.name = other.full();
      }
    }
  }

  std::string root_;
  std::vector<ImportCandidate> found_;
};

}  // namespace

std::string quantization_in_name(std::string_view file_name) {
  std::string stem(file_name);
  if (const auto shard = parse_shard_name(stem, ".gguf")) {
    stem = shard->prefix;
  } else if (stem.ends_with(".gguf")) {
    stem.resize(stem.size() - 5);
  }
  std::transform(stem.begin(), stem.end(), stem.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  // The last part, which a '-' or '.' sets off; underscores belong to it.
  const std::size_t begin = stem.find_last_of("-.");
  if (begin == std::string::npos) return "";
  const std::string last = stem.substr(begin + 1);
  static constexpr std::array<std::string_view, 5> kWholes = {"F32", "F16", "BF16", "FP16", "MXFP4"};
  if (std::find(kWholes.begin(), kWholes.end(), last) != kWholes.end()) return last;
  const std::size_t digit = last.starts_with("IQ") || last.starts_with("TQ") ? 2 : 1;
  const bool quant = last.size() > digit + 1 && (last.starts_with("Q") || digit == 2) && last[digit] >= '1' &&
                     last[digit] <= '8' && last[digit + 1] == '_';
  return quant ? last : "";
}

Result<std::vector<ImportCandidate>> find_models(const std::string& path) {
  std::error_code error;
  const fs::path absolute = fs::absolute(path, error).lexically_normal();
  if (error) return internal(fmt::format("{}: {}", path, error.message()));
  std::string root = absolute.string();
  while (root.size() > 1 && root.ends_with('/'))
    root.pop_back();
  return Finder(std::move(root)).run();
}

Result<ImportReport> import_models(Catalog& catalog, const std::string& path, const std::string& name) {
  MLXR_ASSIGN_OR_RETURN(std::vector<ImportCandidate> found, find_models(path));
  if (!name.empty()) {
    if (found.size() != 1) {
      return invalid_argument(fmt::format("{}: holds {} models, so that one name is not enough", path, found.size()));
    }
    MLXR_RETURN_IF_ERROR(parse_model_name(name).status());
    found[0].model.name = name;
  }
  ImportReport report;
  for (const ImportCandidate& candidate : found) {
    std::string problem = candidate.problem;
    if (problem.empty()) {
      const Status added = catalog.add_foreign(candidate.model);
      if (!added.ok()) problem = added.message();
    }
    const auto parsed = parse_model_name(candidate.model.name);
    const std::string shown = parsed.ok() ? parsed->display() : candidate.model.name;
    if (problem.empty()) {
      report.names.push_back(shown);
    } else {
      report.problems.push_back(fmt::format("{}: {}", shown, problem));
    }
  }
  return report;
}

}  // namespace mlxr
