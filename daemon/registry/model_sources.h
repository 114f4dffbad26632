#pragma once
// The weights of a model that is being created, from wherever they come, as layers.

#include <string>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "daemon/registry/create.h"

namespace mlxr {

// Status lines of one creation, and the question whether to go on.
class CreateProgress {
 public:
  explicit CreateProgress(const ProgressSink& sink) : sink_(sink) {}

  // kCancelled when the receiver wants no more.
  Status tell(const std::string& status);
  // False: stop. Does not tell a figure twice.
  bool tell_bytes(const std::string& status, const std::string& digest, std::uint64_t total, std::uint64_t done);
  Status stopped() const;

 private:
  const ProgressSink& sink_;
  bool cancelled_ = false;
  std::uint64_t last_done_ = 0;
};

class SourceLayers {
 public:
  SourceLayers(Catalog& catalog, CreateProgress& progress, int num_threads)
      : catalog_(catalog), progress_(progress), num_threads_(num_threads) {}

  // A GGUF file or folder of this machine: a copy, or what `quantize` makes of it. A Hugging Face folder becomes GGUF
  // where its architecture can be converted, and stays a folder's files where not.
  Result<std::vector<Layer>> from_path(const std::string& path, const std::string& quantize);
  // Uploaded files. GGUF files that are projectors or adapters become such layers.
  Result<std::vector<Layer>> from_blobs(const std::vector<NamedBlob>& files, const std::string& quantize);
  // One file as a layer of the type.
  Result<Layer> file_layer(const std::string& path, std::string_view media_type);
  // The blob of a model that is in the store already, with other weights types.
  Result<std::vector<Layer>> quantized(const std::string& path, const std::string& quantize);
  // What an uploaded GGUF file is by its own metadata: kModel, kProjector or kAdapter.
  Result<std::string> media_type_of_gguf(const std::string& path);

 private:
  Result<std::vector<Layer>> converted(const std::string& path, const std::string& quantize, const std::string& status);
  Result<std::vector<Layer>> shards(const std::string& path);
  Result<std::vector<Layer>> folder_files(const std::string& folder);

  Catalog& catalog_;
  CreateProgress& progress_;
  int num_threads_;
};

}  // namespace mlxr
