#pragma once
// ModelStore over the registry.

#include "daemon/registry/catalog.h"
#include "daemon/server/ollama/model_store.h"

namespace mlxr::server {

class RegistryModelStore : public ModelStore {
 public:
  // `catalog` must outlive it.
  explicit RegistryModelStore(Catalog& catalog) : catalog_(catalog) {}

  Result<ModelRecord> resolve(const std::string& name) override { return catalog_.resolve(name); }
  Result<std::vector<ModelSummary>> list() override { return catalog_.list(); }
  Status copy(const std::string& source, const std::string& destination) override {
    return catalog_.copy(source, destination);
  }
  Status remove(const std::string& name) override { return catalog_.remove(name); }
  std::string modelfile(const ModelRecord& model) override;
  Status create(const CreateRequest& request, const ProgressSink& progress) override;
  // A blob that is there is about to be used: it is young again for the collection of garbage.
  bool has_blob(const std::string& digest) override { return catalog_.blobs().reuse(digest); }
  Status add_blob(const std::string& file, const std::string& digest) override {
    return catalog_.blobs().adopt(file, digest);
  }

 private:
  Catalog& catalog_;
};

}  // namespace mlxr::server
