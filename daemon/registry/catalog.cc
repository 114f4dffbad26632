#include "daemon/registry/catalog.h"

#include <algorithm>
#include <cstdlib>

#include <fmt/core.h>

#include "core/io/json_file.h"
#include "core/runtime/model_path.h"
#include "daemon/registry/catalog_state.h"
#include "daemon/registry/folder_view.h"
#include "daemon/registry/visible_text.h"

namespace mlxr {
namespace {

Status no_model(const std::string& name) {
  return not_found(fmt::format("model \"{}\" not found", visible_text(name, 200)));
}

bool is_not_found(const Status& status) {
  return status.code() == StatusCode::kNotFound;
}

std::string with_home(const std::string& path) {
  const char* home = std::getenv("HOME");
  return path.starts_with("~/") && home != nullptr ? home + path.substr(1) : path;
}

// The digests that any manifest refers to. An unreadable manifest might refer to any.
Result<std::set<std::string>> referenced_digests(const ManifestStore& manifests) {
  std::set<std::string> digests;
  for (const ManifestFile& file : manifests.list()) {
    const auto manifest = manifests.read(file);
    if (!manifest.ok() && is_not_found(manifest.status())) continue;  // removed meanwhile
    if (!manifest.ok()) return manifest.status();
    for (std::string& digest : manifest->digests())
      digests.insert(std::move(digest));
  }
  return digests;
}

}  // namespace

Catalog::Catalog(std::unique_ptr<State> state) : state_(std::move(state)) {}
Catalog::~Catalog() = default;

Result<std::unique_ptr<Catalog>> Catalog::open(Database& database, CatalogOptions options) {
  MLXR_ASSIGN_OR_RETURN(auto blobs, BlobStore::open(options.models_folder));
  auto state = std::make_unique<State>(database, std::move(options), std::move(blobs));
  state->facts.trim();
  return std::unique_ptr<Catalog>(new Catalog(std::move(state)));
}

const std::string& Catalog::models_folder() const {
  return state_->options.models_folder;
}
BlobStore& Catalog::blobs() {
  return *state_->blobs;
}
ManifestStore& Catalog::manifests() {
  return state_->manifests;
}
Database& Catalog::database() {
  return state_->database;
}

Result<ModelRecord> Catalog::resolve(const std::string& name) {
  if (name.empty()) return invalid_argument("the model's name is empty");
  if (looks_like_path(name)) {
    if (!state_->options.allow_paths) return invalid_argument("a model is named by its name here, not by a path");
    MLXR_ASSIGN_OR_RETURN(const std::string path, resolve_model(with_home(name)));
    return state_->record_of_path(path, name, ModelOrigin::kPath);
  }
  const auto parsed = parse_model_name(name);
  if (parsed.ok()) {
    const auto file = state_->manifests.find(*parsed);
    if (file.ok()) {
      MLXR_ASSIGN_OR_RETURN(ModelRecord record, state_->record_of_store(*file));
      if (!parsed->digest.empty() && parsed->digest != record.digest) {
        return not_found(
            fmt::format("model \"{}\" has the digest {}, not {}", record.name, record.digest, parsed->digest));
      }
      return record;
    }
    if (!is_not_found(file.status())) return file.status();
    MLXR_ASSIGN_OR_RETURN(const auto row, state_->index.find(parsed->full()));
    if (row && row->imported) return state_->record_of_import(*row);
  }
  std::optional<std::string> path = state_->find_in_folders(name);
  // Clients put ":latest" behind names.
  std::string plain = name;
  if (!path && parsed.ok() && parsed->tag == kDefaultTag && parsed->host == kDefaultHost &&
      parsed->name_space == kDefaultNamespace) {
    plain = parsed->model;
    path = state_->find_in_folders(plain);
  }
  if (path) return state_->record_of_path(*path, plain, ModelOrigin::kFolder);
  return parsed.ok() ? no_model(name) : parsed.status();
}

Result<std::vector<ModelSummary>> Catalog::list() {
  return state_->list();
}

bool Catalog::contains(const std::string& name) {
  return resolve(name).ok();
}

Status Catalog::copy(const std::string& source, const std::string& destination) {
  MLXR_ASSIGN_OR_RETURN(const ModelName target, parse_model_name(destination));
  MLXR_ASSIGN_OR_RETURN(const ModelRecord record, resolve(source));
  if (record.origin != ModelOrigin::kStore) {
    MLXR_ASSIGN_OR_RETURN(const auto row, state_->index.find(record.full_name));
    ForeignModel foreign{target.full(), record.path, "file", record.adapter_paths, record.projector_paths, ""};
    if (record.origin == ModelOrigin::kImported && row) {
      foreign.source = row->source;
      foreign.manifest_path = row->manifest_path;
    }
    return add_foreign(foreign);
  }
  MLXR_ASSIGN_OR_RETURN(const auto lease, state_->blobs->lease());
  MLXR_ASSIGN_OR_RETURN(const ModelName name, parse_model_name(record.full_name));
  MLXR_ASSIGN_OR_RETURN(const Manifest manifest, state_->manifests.read(name));
  for (const std::string& digest : manifest.digests()) {
    if (!state_->blobs->reuse(digest)) return not_found(fmt::format("blob {} is missing", digest));
  }
  MLXR_RETURN_IF_ERROR(state_->manifests.write(target, manifest));
  // An imported model of the name is hidden from now on: it goes.
  MLXR_ASSIGN_OR_RETURN(const auto hidden, state_->index.find(target.full()));
  if (!hidden || !hidden->imported) return {};
  MLXR_RETURN_IF_ERROR(state_->index.remove(target.full()));
  return state_->index.prune();
}

Status Catalog::remove(const std::string& name) {
  const auto parsed = parse_model_name(name);
  const bool is_path = looks_like_path(name);
  if (!is_path && parsed.ok()) {
    const auto file = state_->manifests.find(*parsed);
    if (file.ok()) return state_->remove_from_store(*file);
    if (!is_not_found(file.status())) return file.status();
    MLXR_ASSIGN_OR_RETURN(const auto row, state_->index.find(parsed->full()));
    if (row && row->imported) {
      MLXR_RETURN_IF_ERROR(state_->index.remove(row->name));
      return state_->index.prune();
    }
  }
  MLXR_ASSIGN_OR_RETURN(const ModelRecord record, resolve(name));
  return invalid_argument(fmt::format("model \"{}\" is not of the store: it is {}, which is not removed from here",
                                      record.name, record.path));
}

Status Catalog::State::remove_from_store(const ManifestFile& file) {
  const auto manifest = manifests.read(file);
  MLXR_RETURN_IF_ERROR(manifests.remove(file.name));
  MLXR_RETURN_IF_ERROR(index.remove(file.name.full()));
  MLXR_RETURN_IF_ERROR(index.prune());
  if (!manifest.ok()) return {};  // what it referred to is unknown, and found by a collection
  const std::vector<std::string> digests = manifest->digests();
  bool shared = false;
  const auto references = [&]() -> Result<std::set<std::string>> {
    for (const ManifestFile& other : manifests.list()) {
      const auto read = manifests.read(other);
      shared = shared || (read.ok() && read->digest == manifest->digest);
    }
    return referenced_digests(manifests);
  };
  const auto collected = blobs->collect(references, {.only = &digests});
  if (!shared) remove_folder_view(options.models_folder, *manifest);
  // The model is gone. Blobs stay where another manifest cannot be read; a check of the store says so.
  return !collected.ok() && collected.status().code() == StatusCode::kInternal ? collected.status() : Status();
}

Result<std::vector<std::string>> Catalog::tags(const std::string& name) {
  MLXR_RETURN_IF_ERROR(list().status());  // brings the index up to date
  MLXR_ASSIGN_OR_RETURN(const ModelRecord record, resolve(name));
  if (record.origin != ModelOrigin::kStore && record.origin != ModelOrigin::kImported) {
    return std::vector<std::string>{record.name};
  }
  MLXR_ASSIGN_OR_RETURN(const auto row, state_->index.find(record.full_name));
  if (!row) return std::vector<std::string>{record.name};
  MLXR_ASSIGN_OR_RETURN(std::vector<std::string> names, state_->index.names(row->digest));
  for (std::string& full_name : names)
    full_name = display_name(full_name);
  return names;
}

Status Catalog::add_foreign(const ForeignModel& model) {
  MLXR_ASSIGN_OR_RETURN(const ModelName name, parse_model_name(model.name));
  if (state_->manifests.find(name).ok()) {
    return invalid_argument(
        fmt::format("there is a model \"{}\" in the store; remove it, or import under another name", name.display()));
  }
  IndexRow row;
  row.name = name.full();
  row.imported = true;
  row.path = model.path;
  row.source = model.source;
  row.manifest_path = model.manifest_path;
  row.adapter_paths = model.adapter_paths;
  row.projector_paths = model.projector_paths;
  row.modified_ns = now_ns();
  MLXR_ASSIGN_OR_RETURN(const ModelRecord record, state_->record_of_import(row));
  row.path = record.path;
  MLXR_ASSIGN_OR_RETURN(row.files, model_files(record.path));
  if (!row.manifest_path.empty()) {
    MLXR_ASSIGN_OR_RETURN(const auto manifest_files, model_files(row.manifest_path));
    row.files.insert(row.files.end(), manifest_files.begin(), manifest_files.end());
  }
  for (const auto* paths : {&row.adapter_paths, &row.projector_paths}) {
    for (const std::string& path : *paths) {
      MLXR_ASSIGN_OR_RETURN(const auto files, model_files(path));
      row.files.insert(row.files.end(), files.begin(), files.end());
    }
  }
  row.digest = digest_of_files(row.files);
  row.details = record.details;
  row.capabilities = record.capabilities;
  row.size_bytes = record.size_bytes;
  Transaction transaction(state_->database);
  MLXR_RETURN_IF_ERROR(transaction.status());
  MLXR_RETURN_IF_ERROR(state_->index.put(row));
  MLXR_RETURN_IF_ERROR(state_->index.prune());
  return transaction.commit();
}

Result<BlobStore::Collected> Catalog::collect_garbage(const BlobStore::CollectOptions& options) {
  return state_->blobs->collect([this] { return referenced_digests(state_->manifests); }, options);
}

}  // namespace mlxr
