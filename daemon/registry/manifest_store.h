#pragma once
// MODELS/manifests/HOST/NAMESPACE/MODEL/TAG: which models there are. The files are the truth; Ollama may write beside
// us. Any thread.

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "daemon/registry/manifest.h"
#include "daemon/registry/model_name.h"

namespace mlxr {

// One file of the store, unread.
struct ManifestFile {
  ModelName name;
  std::string path;
  std::uint64_t size_bytes = 0;
  std::int64_t modified_ns = 0;  // since the Unix epoch
};

class ManifestStore {
 public:
  // Makes nothing: MODELS may not exist yet.
  explicit ManifestStore(std::string models_folder);

  // Sorted by path. Files whose path is no name are left out.
  std::vector<ManifestFile> list() const;
  // Without regard to case. kNotFound `model "X" not found`.
  Result<ManifestFile> find(const ModelName& name) const;
  Result<Manifest> read(const ModelName& name) const;
  Result<Manifest> read(const ManifestFile& file) const;
  // Replaces atomically; a manifest under another spelling of the name is replaced where it is. All blobs must be there
  // already: what crashes before leaves blobs, never a model without them.
  Status write(const ModelName& name, const Manifest& manifest);
  // The file and folders that it leaves empty. kNotFound as above. Blobs stay.
  Status remove(const ModelName& name);

  const std::string& folder() const { return folder_; }  // MODELS/manifests

 private:
  // Of a manifest, in the spelling that is on disk as far as there is one.
  std::string path_of(const ModelName& name) const;

  std::string folder_;
};

}  // namespace mlxr
