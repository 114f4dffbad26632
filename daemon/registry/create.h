#pragma once
// Building a model of the store: from another model, from a file or folder of this machine, or from uploaded blobs;
// with new texts, and with other weights types. The manifest appears last: what is killed on the way leaves blobs that
// nothing refers to, and no model.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "daemon/registry/catalog.h"
#include "daemon/registry/model_record.h"
#include "daemon/registry/modelfile.h"
#include "daemon/registry/progress.h"

namespace mlxr {

// A file name with the digest of its blob.
using NamedBlob = std::pair<std::string, std::string>;

struct CreateRequest {
  std::string model;                     // the new name
  std::string from = {};                 // a model's name, or a path as Catalog::resolve takes it
  std::vector<NamedBlob> files = {};     // a GGUF file, its shards, or a Hugging Face folder's files
  std::vector<NamedBlob> adapters = {};  // LoRA adapters as GGUF
  std::vector<NamedBlob> draft_files = {};
  std::vector<std::string> adapter_paths = {};  // of this machine
  std::vector<std::string> projector_paths = {};
  std::string draft = {};     // a model's name or path
  std::string quantize = {};  // "Q4_K_M"; empty: as it is
  std::string draft_quantize = {};

  // Absent: as in `from`. An empty text takes it away.
  std::optional<std::string> template_text = {};  // Jinja, or Go's language, which is kept and not rendered
  std::optional<std::string> system = {};
  std::optional<std::vector<std::string>> licenses = {};
  std::optional<std::vector<ModelMessage>> messages = {};
  ModelParameters parameters = {};  // over those of `from`
  std::string renderer = {};
  std::string parser = {};
  std::string requires_version = {};
};

struct CreateOptions {
  int num_threads = 0;  // of a conversion; 0: the machine's
  ProgressSink progress = {};
};

// The new model replaces one of the same name. Waits until it is done: on a thread of its own. Statuses are those of
// Ollama ("parsing GGUF", "quantizing F16 model to Q4_K_M", "creating new layer sha256:..", "writing manifest",
// "success"). kInvalidArgument: a name, a quantisation, a file name that leaves its folder, a template that is none,
// nothing to make a model from. kNotFound: a model or blob that is not there. kUnsupported: what this build cannot
// convert. kCancelled: `progress` said so.
Result<ModelRecord> create_model(Catalog& catalog, const CreateRequest& request, const CreateOptions& options);

// As `mlxr create` does: paths of a Modelfile are relative to `folder`. kInvalidArgument for a second FROM that is no
// projector's file.
Result<CreateRequest> create_request_of(const Modelfile& modelfile, const std::string& model,
                                        const std::string& folder);

}  // namespace mlxr
