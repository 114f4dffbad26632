#include "daemon/server/ollama/registry_model_store.h"

#include "daemon/registry/create.h"
#include "daemon/registry/modelfile.h"

namespace mlxr::server {

std::string RegistryModelStore::modelfile(const ModelRecord& model) {
  return modelfile_of(model);
}

Status RegistryModelStore::create(const CreateRequest& request, const ProgressSink& progress) {
  CreateOptions options;
  options.progress = progress;
  const Result<ModelRecord> made = create_model(catalog_, request, options);
  return made.ok() ? Status() : made.status();
}

}  // namespace mlxr::server
