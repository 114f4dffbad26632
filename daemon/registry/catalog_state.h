#pragma once
// What a Catalog is made of; shared by the files that implement it and by nobody else.

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "daemon/registry/catalog.h"
#include "daemon/registry/catalog_index.h"
#include "daemon/registry/facts_cache.h"
#include "daemon/registry/manifest_record.h"

namespace mlxr {

struct Catalog::State {
  State(Database& db, CatalogOptions opts, std::unique_ptr<BlobStore> blob_store)
      : database(db),
        options(std::move(opts)),
        blobs(std::move(blob_store)),
        manifests(options.models_folder),
        index(db),
        facts(db) {}

  // --- catalog_sources.cc: a record from each kind of place ---
  Result<ModelRecord> record_of_store(const ManifestFile& file);
  Result<ModelRecord> record_of_import(const IndexRow& row);
  Result<ModelRecord> record_of_path(const std::string& path, const std::string& name, ModelOrigin origin);
  // A model of the model folders by its name; nothing when there is none.
  std::optional<std::string> find_in_folders(const std::string& name) const;
  InspectModel inspector() {
    return [this](const std::string& path) { return facts.inspect(path); };
  }

  // --- catalog.cc ---
  Status remove_from_store(const ManifestFile& file);

  // --- catalog_list.cc ---
  Result<std::vector<ModelSummary>> list();

  Database& database;
  CatalogOptions options;
  std::unique_ptr<BlobStore> blobs;
  ManifestStore manifests;
  CatalogIndex index;
  FactsCache facts;
  std::mutex list_mutex;  // one brings the index up to date at a time
};

std::chrono::system_clock::time_point time_of_ns(std::int64_t ns);
// "MODELS/manifests/h/n/m/t" -> "MODELS".
std::string models_folder_of_manifest(const std::string& manifest_path);
// "registry.ollama.ai/library/x:latest" -> "x:latest".
std::string display_name(const std::string& full_name);
bool looks_like_path(const std::string& name);

}  // namespace mlxr
