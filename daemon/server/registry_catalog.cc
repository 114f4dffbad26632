#include "daemon/server/registry_catalog.h"

#include <chrono>

#include "daemon/registry/model_name.h"

namespace mlxr::server {
namespace {

// A ModelRecord or a ModelSummary.
template <class Model>
ListedModel listed(const Model& model) {
  ListedModel out;
  out.name = model.name;
  out.created = static_cast<std::int64_t>(
      std::chrono::duration_cast<std::chrono::seconds>(model.modified.time_since_epoch()).count());
  out.context_length = model.details.context_length;
  out.num_parameters = static_cast<std::int64_t>(model.details.num_parameters);
  out.size_bytes = model.size_bytes;
  out.embedding_length = model.details.embedding_length;
  out.family = model.details.family;
  out.quantization = model.details.quantization_level;
  return out;
}

}  // namespace

std::vector<ListedModel> RegistryCatalog::list() {
  std::vector<ListedModel> out;
  const Result<std::vector<ModelSummary>> models = catalog_.list();
  if (!models.ok()) return out;
  for (const ModelSummary& model : *models) {
    if (model.problem.empty()) out.push_back(listed(model));
  }
  return out;
}

std::optional<ListedModel> RegistryCatalog::find(const std::string& name) {
  const Result<ModelRecord> record = catalog_.resolve(name);
  if (!record.ok()) return std::nullopt;
  return listed(*record);
}

}  // namespace mlxr::server
