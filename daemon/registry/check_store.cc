#include "daemon/registry/check_store.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <system_error>

#include <fmt/core.h>

#include "daemon/registry/catalog_state.h"
#include "daemon/registry/folder_view.h"

namespace mlxr {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kNsPerSecond = 1'000'000'000;

class StoreCheck {
 public:
  StoreCheck(Catalog& catalog, const CheckStoreOptions& options) : catalog_(catalog), options_(options) {}

  Result<StoreReport> run() {
    report_.in_use = catalog_.blobs().in_use();
    for (const BlobStore::Blob& blob : catalog_.blobs().list()) {
      blobs_.emplace(blob.digest, blob);
      report_.blob_bytes += blob.size_bytes;
    }
    report_.num_blobs = blobs_.size();
    if (options_.verify) MLXR_RETURN_IF_ERROR(verify_blobs());
    check_manifests();
    check_leftovers();
    check_half_manifests();
    check_views();
    MLXR_RETURN_IF_ERROR(check_database());
    if (options_.repair) MLXR_RETURN_IF_ERROR(collect());
    return std::move(report_);
  }

 private:
  StoreProblem& add(StoreFault fault, std::string subject, std::string text) {
    report_.problems.push_back({fault, std::move(subject), std::move(text)});
    return report_.problems.back();
  }

  bool is_old(std::int64_t modified_ns) const {
    return !report_.in_use && modified_ns <= now_ns() - options_.min_age_s * kNsPerSecond;
  }

  Status verify_blobs() {
    std::uint64_t done = 0;
    for (auto it = blobs_.begin(); it != blobs_.end();) {
      const BlobStore::Blob& blob = it->second;
      const auto progress = [&](std::uint64_t read) {
        return !options_.progress || options_.progress(done + read, report_.blob_bytes);
      };
      const Status status = catalog_.blobs().verify(blob.digest, progress);
      done += blob.size_bytes;
      if (status.code() == StatusCode::kCancelled) return status;
      if (status.ok()) {
        ++it;
        continue;
      }
      StoreProblem& problem = add(StoreFault::kWrongBytes, blob.digest, status.message());
      problem.bytes = blob.size_bytes;
      if (options_.repair) problem.repaired = catalog_.blobs().remove(blob.digest).ok();
      it = problem.repaired ? blobs_.erase(it) : std::next(it);
    }
    return {};
  }

  void check_manifests() {
    for (const ManifestFile& file : catalog_.manifests().list()) {
      const auto manifest = catalog_.manifests().read(file);
      const std::string name = file.name.display();
      if (!manifest.ok()) {
        if (manifest.status().code() == StatusCode::kNotFound) continue;
        all_manifests_read_ = false;
        add(StoreFault::kBrokenManifest, name,
            fmt::format("{}; remove the model, or pull it again", manifest.status().message()));
        continue;
      }
      ++report_.num_models;
      check_layer(name, manifest->config);
      for (const Layer& layer : manifest->layers)
        check_layer(name, layer);
      if (needs_folder_view(*manifest)) check_view_of(name, *manifest);
    }
  }

  void check_layer(const std::string& model, const Layer& layer) {
    referenced_.insert(layer.digest);
    const auto found = blobs_.find(layer.digest);
    if (found == blobs_.end()) {
      add(StoreFault::kMissingBlob, model,
          fmt::format("blob {} is missing; pull or create the model again", layer.digest));
      return;
    }
    const std::uint64_t size = found->second.size_bytes;
    if (size == layer.size_bytes) return;
    StoreProblem& problem = add(
        StoreFault::kWrongSize, model,
        fmt::format("blob {} has {} bytes instead of {}; pull the model again", layer.digest, size, layer.size_bytes));
    problem.bytes = size;
    // A manifest may lie about a good blob: only one whose bytes are wrong too goes.
    if (options_.repair && catalog_.blobs().verify(layer.digest).code() == StatusCode::kCorrupt) {
      problem.repaired = catalog_.blobs().remove(layer.digest).ok();
    }
  }

  void check_view_of(const std::string& model, const Manifest& manifest) {
    const std::string folder = folder_view_path(catalog_.models_folder(), manifest);
    views_.insert(folder);
    const bool whole = std::all_of(manifest.layers.begin(), manifest.layers.end(), [&](const Layer& layer) {
      return layer.name.empty() || !blobs_.contains(layer.digest) || file_stamp(folder + "/" + layer.name);
    });
    if (whole) return;
    StoreProblem& problem = add(StoreFault::kBrokenView, model, folder + " is not whole; it is made again when needed");
    problem.harmless = true;
    if (options_.repair) problem.repaired = make_folder_view(catalog_.models_folder(), manifest).ok();
  }

  void check_leftovers() {
    for (const auto& [digest, blob] : blobs_) {
      if (referenced_.contains(digest)) continue;
      StoreProblem& problem = add(StoreFault::kUnreferencedBlob, digest, "no model refers to it");
      problem.bytes = blob.size_bytes;
      problem.harmless = true;
    }
    for (const BlobStore::Partial& partial : catalog_.blobs().partials()) {
      StoreProblem& problem = add(StoreFault::kPartial, partial.path, "of a transfer that was broken off");
      problem.bytes = partial.size_bytes;
      problem.harmless = true;
    }
  }

  // A manifest that was being written when its program was killed.
  void check_half_manifests() {
    std::error_code error;
    const fs::path root = catalog_.manifests().folder();
    for (fs::recursive_directory_iterator it(root, error), end; !error && it != end; it.increment(error)) {
      const std::string name = it->path().filename().string();
      if (!name.starts_with(".mlxr-") || !name.ends_with(".tmp")) continue;
      const std::string path = it->path().string();
      const auto stamp = file_stamp(path);
      if (!stamp || !stamp->is_file) continue;
      StoreProblem& problem = add(StoreFault::kPartial, path, "a manifest whose writing was broken off");
      problem.harmless = true;
      problem.bytes = stamp->size_bytes;
      if (!options_.repair || !is_old(stamp->modified_ns)) continue;
      std::error_code ignored;
      problem.repaired = fs::remove(it->path(), ignored);
    }
  }

  // Folders of models that are gone, and temporary ones of whoever was killed.
  void check_views() {
    for (const std::string& parent : {catalog_.models_folder() + "/folders", catalog_.models_folder()}) {
      std::error_code error;
      for (fs::directory_iterator it(parent, error), end; !error && it != end; it.increment(error)) {
        const std::string path = it->path().string();
        const std::string name = it->path().filename().string();
        const bool temporary = name.starts_with(".mlxr-create-") || name.starts_with(".mlxr-view-");
        const bool view = parent != catalog_.models_folder() && !name.starts_with('.');
        if (!temporary && (!view || views_.contains(path) || !all_manifests_read_)) continue;
        StoreProblem& problem = add(StoreFault::kStaleView, path, "belongs to no model");
        problem.harmless = true;
        const auto stamp = file_stamp(path);
        if (!options_.repair || !stamp || !is_old(stamp->modified_ns)) continue;
        std::error_code ignored;
        fs::remove_all(path, ignored);
        problem.repaired = !file_stamp(path);
      }
    }
  }

  Status check_database() {
    const auto damage = catalog_.database().check();
    if (!damage.ok() || !damage->empty()) {
      add(StoreFault::kDatabase, catalog_.database().path(),
          fmt::format("{}; move it away, and models come back from their manifests (keys and usage do not)",
                      damage.ok() ? damage->substr(0, damage->find('\n')) : damage.status().message()));
      return {};
    }
    CatalogIndex index(catalog_.database());
    MLXR_ASSIGN_OR_RETURN(const auto rows, index.rows());
    for (const IndexRow& row : rows) {
      if (row.imported) {
        check_import(row);
        continue;
      }
      const auto name = parse_model_name(row.name);
      if (name.ok() && catalog_.manifests().find(*name).ok()) continue;
      StoreProblem& problem =
          add(StoreFault::kStaleIndex, display_name(row.name), "is in the database and has no manifest");
      problem.harmless = true;
      if (options_.repair) problem.repaired = index.remove(row.name).ok() && index.prune().ok();
    }
    return {};
  }

  void check_import(const IndexRow& row) {
    ++report_.num_imported;
    for (const ModelFile& file : row.files) {
      if (file_stamp(file.path)) continue;
      add(StoreFault::kMissingImport, display_name(row.name),
          fmt::format("was imported from {}, which is gone; put it back, or remove the model", file.path));
      return;
    }
  }

  // Leftovers go by the store's own rules, which know of leases that were taken meanwhile.
  Status collect() {
    const auto collected = catalog_.collect_garbage({.min_age_s = options_.min_age_s, .partials = true});
    if (!collected.ok()) return collected.status().code() == StatusCode::kCorrupt ? Status() : collected.status();
    for (StoreProblem& problem : report_.problems) {
      if (problem.fault == StoreFault::kUnreferencedBlob) problem.repaired = !catalog_.blobs().has(problem.subject);
      if (problem.fault == StoreFault::kPartial) problem.repaired = !file_stamp(problem.subject);
    }
    return {};
  }

  Catalog& catalog_;
  const CheckStoreOptions& options_;
  StoreReport report_;
  std::map<std::string, BlobStore::Blob> blobs_;
  std::set<std::string> referenced_;
  std::set<std::string> views_;
  bool all_manifests_read_ = true;
};

}  // namespace

const char* store_fault_name(StoreFault fault) {
  switch (fault) {
    case StoreFault::kBrokenManifest:
      return "broken manifest";
    case StoreFault::kMissingBlob:
      return "missing blob";
    case StoreFault::kWrongSize:
      return "blob of the wrong size";
    case StoreFault::kWrongBytes:
      return "blob with wrong bytes";
    case StoreFault::kBrokenView:
      return "broken folder";
    case StoreFault::kUnreferencedBlob:
      return "unreferenced blob";
    case StoreFault::kPartial:
      return "partial file";
    case StoreFault::kStaleView:
      return "stale folder";
    case StoreFault::kStaleIndex:
      return "stale entry";
    case StoreFault::kMissingImport:
      return "missing import";
    case StoreFault::kDatabase:
      return "damaged database";
  }
  return "";
}

bool StoreReport::sound() const {
  return std::all_of(problems.begin(), problems.end(),
                     [](const StoreProblem& problem) { return problem.harmless || problem.repaired; });
}

Result<StoreReport> check_store(Catalog& catalog, const CheckStoreOptions& options) {
  return StoreCheck(catalog, options).run();
}

}  // namespace mlxr
