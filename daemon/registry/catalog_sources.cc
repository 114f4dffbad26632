// Records of models from each kind of place: manifests, imported files, model folders, paths.

#include <filesystem>

#include <fmt/core.h>

#include "core/io/json_file.h"
#include "core/runtime/model_path.h"
#include "daemon/registry/catalog_state.h"
#include "daemon/registry/digest.h"
#include "daemon/registry/folder_view.h"

namespace mlxr {
namespace {

namespace fs = std::filesystem;

constexpr int kManifestDepth = 5;  // manifests/HOST/NAMESPACE/MODEL/TAG

std::uint64_t total_bytes(const std::vector<ModelFile>& files) {
  std::uint64_t total = 0;
  for (const ModelFile& file : files)
    total += file.size_bytes;
  return total;
}

std::int64_t newest_ns(const std::vector<ModelFile>& files) {
  std::int64_t newest = 0;
  for (const ModelFile& file : files)
    newest = std::max(newest, file.modified_ns);
  return newest;
}

}  // namespace

std::chrono::system_clock::time_point time_of_ns(std::int64_t ns) {
  using Clock = std::chrono::system_clock;
  return Clock::time_point(std::chrono::duration_cast<Clock::duration>(std::chrono::nanoseconds(ns)));
}

std::string models_folder_of_manifest(const std::string& manifest_path) {
  fs::path folder = manifest_path;
  for (int i = 0; i < kManifestDepth; ++i)
    folder = folder.parent_path();
  return folder.string();
}

std::string display_name(const std::string& full_name) {
  const auto name = parse_model_name(full_name);
  return name.ok() ? name->display() : full_name;
}

bool looks_like_path(const std::string& name) {
  return name.starts_with('/') || name.starts_with("./") || name.starts_with("../") || name.starts_with("~/") ||
         name == "." || name == "..";
}

Result<ModelRecord> Catalog::State::record_of_store(const ManifestFile& file) {
  MLXR_ASSIGN_OR_RETURN(const Manifest manifest, manifests.read(file));
  auto record = record_of_manifest(options.models_folder, manifest, inspector());
  if (!record.ok()) return record.status().with_context(fmt::format("model \"{}\"", file.name.display()));
  record->name = file.name.display();
  record->full_name = file.name.full();
  record->origin = ModelOrigin::kStore;
  record->modified = time_of_ns(file.modified_ns);
  return record;
}

Result<ModelRecord> Catalog::State::record_of_path(const std::string& path, const std::string& name,
                                                   ModelOrigin origin) {
  MLXR_ASSIGN_OR_RETURN(const auto files, model_files(path));
  MLXR_ASSIGN_OR_RETURN(ModelFacts facts_found, facts.inspect(path));
  ModelRecord record;
  record.name = name;
  record.full_name = name;
  record.digest = digest_of_files(files);
  record.origin = origin;
  record.path = path;
  record.own_template = std::move(facts_found.chat_template);
  if (!facts_found.license.empty()) record.licenses.push_back(std::move(facts_found.license));
  record.details = std::move(facts_found.details);
  record.capabilities = std::move(facts_found.capabilities);
  record.size_bytes = total_bytes(files);
  record.modified = time_of_ns(newest_ns(files));
  record.warnings = std::move(facts_found.warnings);
  return record;
}

Result<ModelRecord> Catalog::State::record_of_import(const IndexRow& row) {
  const std::string shown = display_name(row.name);
  const auto gone = [&](const std::string& path, const Status& status) {
    if (status.code() != StatusCode::kNotFound) return status.with_context(fmt::format("model \"{}\"", shown));
    return not_found(
        fmt::format("model \"{}\" was imported from {}, which is gone: {}; put it back, or remove the model", shown,
                    path, status.message()));
  };
  Result<ModelRecord> record = not_found("");
  if (row.manifest_path.empty()) {
    record = record_of_path(row.path, shown, ModelOrigin::kImported);
    if (!record.ok()) return gone(row.path, record.status());
    record->adapter_paths = row.adapter_paths;
    record->projector_paths = row.projector_paths;
    if (!row.adapter_paths.empty()) record->warnings.emplace_back("its adapter is not applied");
    if (!row.projector_paths.empty()) record->warnings.emplace_back("its image projector is not used");
  } else {
    const auto bytes = read_text_file(row.manifest_path, kMaxManifestBytes);
    if (!bytes.ok()) return gone(row.manifest_path, bytes.status());
    MLXR_ASSIGN_OR_RETURN(const Manifest manifest, parse_manifest(*bytes, row.manifest_path));
    if (needs_folder_view(manifest)) {
      return unsupported(fmt::format("model \"{}\": a model of several files in another program's store", shown));
    }
    record = record_of_manifest(models_folder_of_manifest(row.manifest_path), manifest, inspector());
    if (!record.ok()) return gone(row.manifest_path, record.status());
    record->name = shown;
  }
  record->full_name = row.name;
  record->origin = ModelOrigin::kImported;
  record->modified = time_of_ns(row.modified_ns);
  return record;
}

std::optional<std::string> Catalog::State::find_in_folders(const std::string& name) const {
  if (!options.include_model_folders || !is_safe_file_name(name)) return std::nullopt;
  for (const std::string& folder : model_folders()) {
    for (const char* extension : {"", ".gguf"}) {
      const std::string path = folder + "/" + name + extension;
      if (!file_stamp(path)) continue;
      const auto opens = resolve_model(path);
      if (!opens.ok()) continue;
      // A folder of something else, MODELS/blobs for one, is no model.
      const auto stamp = file_stamp(*opens);
      if (stamp && (stamp->is_file || file_stamp(*opens + "/config.json"))) return *opens;
    }
  }
  return std::nullopt;
}

}  // namespace mlxr
