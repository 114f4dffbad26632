#pragma once
// Import in place: models of other programs' folders under names of this catalogue, without a copy. The files stay
// where they are and belong to whoever put them there; when they go, the model says so.

#include <string>
#include <vector>

#include "core/base/status.h"
#include "daemon/registry/catalog.h"

namespace mlxr {

// What was found below a path, with the name that it would get.
struct ImportCandidate {
  Catalog::ForeignModel model;
  std::string problem = {};  // why it cannot be imported; empty: it can
};

// Looks at what `path` is:
//   a GGUF file (any file of a split set) or a folder in Hugging Face layout: one model, source "file"
//   a store of Ollama (manifests/ and blobs/): each manifest, under its own name, source "ollama"
//   a cache of Hugging Face (models--ORG--NAME/snapshots/REV): each snapshot that a ref names, else the newest;
//     hf.co/ORG/NAME:QUANT for each GGUF file, hf.co/ORG/NAME for a folder of safetensors; source "hugging-face"
//   any other folder, LM Studio's PUBLISHER/REPO/FILE.gguf above all, to a depth of three folders; source "lm-studio"
//     where the layout is that one, else "file"
// kNotFound: nothing there; kInvalidArgument: nothing in it is a model.
Result<std::vector<ImportCandidate>> find_models(const std::string& path);

struct ImportReport {
  std::vector<std::string> names;     // that were imported, as display()
  std::vector<std::string> problems;  // of models that were not, a line each
};

// Imports what find_models finds. `name` overrides the name where there is exactly one model. A model whose name is
// taken by one of the store is a problem of the report.
Result<ImportReport> import_models(Catalog& catalog, const std::string& path, const std::string& name = {});

// "Q4_K_M" of "model-Q4_K_M.gguf" or "model.q4_k_m-00001-of-00002.gguf"; empty when the name says none.
std::string quantization_in_name(std::string_view file_name);

}  // namespace mlxr
