#pragma once
// From a name of the registry to what the service loads: the record of the catalogue, and over it what the operator's
// per-model settings say.

#include <memory>

#include "daemon/registry/catalog.h"
#include "daemon/service/make_model_service.h"
#include "daemon/settings/model_settings.h"

namespace mlxr::server {

// What stands for an empty name in a request; empty: nothing does.
using DefaultModel = std::function<std::string()>;

// `catalog` must outlive the resolver. kNotFound for names that mean nothing, kUnsupported for models whose adapter or
// projector this build cannot apply: an answer without them would not be that model's.
ModelResolver make_model_resolver(Catalog& catalog, std::shared_ptr<const ModelSettingsFolder> settings,
                                  DefaultModel default_model);

// Of a Modelfile, by Ollama's names. What is known and has no meaning here is a warning, as is what is unknown.
struct ModelfileParameters {
  SamplingOverrides sampling = {};
  std::vector<std::string> stop = {};
  std::optional<std::int64_t> context = {};
  std::optional<std::int64_t> max_tokens = {};
  std::vector<std::string> warnings = {};
};
Result<ModelfileParameters> read_modelfile_parameters(const ModelParameters& parameters);

}  // namespace mlxr::server
