#pragma once
// ModelStore: what Ollama's routes know of the models of this machine and do to them. The registry stands behind it.
//
// Any thread; all calls may wait for files. Errors as Catalog's.

#include <string>
#include <vector>

#include "core/base/status.h"
#include "daemon/registry/model_record.h"
#include "daemon/registry/progress.h"

namespace mlxr {
struct CreateRequest;
}

namespace mlxr::server {

class ModelStore {
 public:
  virtual ~ModelStore() = default;

  virtual Result<ModelRecord> resolve(const std::string& name) = 0;
  virtual Result<std::vector<ModelSummary>> list() = 0;
  virtual Status copy(const std::string& source, const std::string& destination) = 0;
  virtual Status remove(const std::string& name) = 0;
  // Text from which the model could be made again.
  virtual std::string modelfile(const ModelRecord& model) = 0;
  // Waits until the model is there.
  virtual Status create(const CreateRequest& request, const ProgressSink& progress) = 0;

  // `digest` in its one spelling (parse_digest).
  virtual bool has_blob(const std::string& digest) = 0;
  // Takes the file over when its bytes are the digest's; kCorrupt with both digests when they are others.
  virtual Status add_blob(const std::string& file, const std::string& digest) = 0;
};

}  // namespace mlxr::server
