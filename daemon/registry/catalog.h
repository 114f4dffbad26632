#pragma once
// Catalog: the models of this machine by name. Manifests and model files are the truth; the database remembers what was
// read from them, so that a list opens only what changed, and holds what has no manifest: imported models.
//
// Any thread: calls are serialised where they touch the database. Errors: kNotFound `model "X" not found`,
// kInvalidArgument for what is no name, kCorrupt for a broken manifest or config, each with the file's path.

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "daemon/registry/blob_store.h"
#include "daemon/registry/manifest_store.h"
#include "daemon/registry/model_record.h"

namespace mlxr {

class Database;

struct CatalogOptions {
  std::string models_folder;          // MODELS; made when it is not there
  bool include_model_folders = true;  // models that came with the program or lie in $MLXR_MODELS are found and listed
  bool allow_paths = true;            // a name may be a path of this machine
};

class Catalog {
 public:
  // `database` must outlive the catalog.
  static Result<std::unique_ptr<Catalog>> open(Database& database, CatalogOptions options);
  ~Catalog();

  // By name: a path (begins with '/', "./", "../" or "~/"), a manifest, an imported model, a model of the model
  // folders. Reads manifests, configs and headers of model files; never weights.
  Result<ModelRecord> resolve(const std::string& name);
  // Newest first. A model that cannot be read is in the list with its problem.
  Result<std::vector<ModelSummary>> list();
  bool contains(const std::string& name);

  // The new name takes the place of a model that had it. Nothing is copied but the reference.
  Status copy(const std::string& source, const std::string& destination);
  // The name, and the blobs that nothing else refers to. An imported model's files stay where they are.
  Status remove(const std::string& name);
  // All names that mean the same model.
  Result<std::vector<std::string>> tags(const std::string& name);

  // Indexes a model file or folder where it lies, under a name; replaces an imported model of that name.
  // kInvalidArgument when a manifest has the name; errors of opening the model.
  struct ForeignModel {
    std::string name;
    std::string path = {};  // a GGUF file or a folder; empty with manifest_path
    std::string source;     // "file", "ollama", "lm-studio", "hugging-face"
    std::vector<std::string> adapter_paths = {};
    std::vector<std::string> projector_paths = {};
    std::string manifest_path = {};  // of a foreign Ollama store: its template, system and parameters are honoured
  };
  Status add_foreign(const ForeignModel& model);

  // Blobs that no manifest refers to, older than `min_age_s`. kCorrupt, and nothing removed, when a manifest cannot be
  // read: it might refer to any.
  Result<BlobStore::Collected> collect_garbage(const BlobStore::CollectOptions& options);

  const std::string& models_folder() const;
  BlobStore& blobs();
  ManifestStore& manifests();
  Database& database();

  // Of the files that implement it.
  struct State;

 private:
  explicit Catalog(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace mlxr
