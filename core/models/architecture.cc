#include "core/models/architecture.h"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "core/io/gguf.h"
#include "core/io/hf_folder.h"
#include "core/models/config_reader.h"

namespace mlxr {

#define MLXR_MODEL(id, gguf_name, hugging_face_names)                            \
  namespace id {                                                                 \
  std::span<const TensorRow> tensor_rows();                                      \
  Result<std::unique_ptr<Model>> load(ModelConfig config, WeightLoader& loader); \
  }
#include "core/models/models.def"
#undef MLXR_MODEL

namespace {

constexpr Architecture kArchitectures[] = {
#define MLXR_MODEL(id, gguf_name, hugging_face_names) {gguf_name, hugging_face_names, &id::tensor_rows, &id::load},
#include "core/models/models.def"
#undef MLXR_MODEL
};

bool list_has(std::string_view list, std::string_view name) {
  while (!list.empty()) {
    const std::size_t end = list.find(';');
    if (list.substr(0, end) == name) return true;
    if (end == std::string_view::npos) return false;
    list.remove_prefix(end + 1);
  }
  return false;
}

Result<ModelConfig> read_from_gguf(const GgufFile& file) {
  MLXR_ASSIGN_OR_RETURN(const std::string_view name, file.metadata().require_string("general.architecture"));
  const Architecture* architecture = find_architecture(name);
  if (architecture == nullptr) {
    return unsupported(fmt::format("{}: architecture \"{}\" is not supported (this build runs {})", file.path(), name,
                                   architecture_names()));
  }
  MLXR_ASSIGN_OR_RETURN(ModelConfig config, read_gguf_config(file.metadata(), std::string(name)));
  const WeightTensor* embedding = file.find(tensor_stem(architecture->tensor_rows()[0], Naming::kGguf, -1) + ".weight");
  if (embedding == nullptr) {
    return not_found(fmt::format("{}: no embedding table: this file has a vocabulary but no weights", file.path()));
  }
  config.vocab_size = embedding->shape[0];
  return config;
}

Result<ModelConfig> read_from_folder(const HfFolder& folder) {
  const nlohmann::json& config = folder.config();
  const auto classes = config.find("architectures");
  if (classes == config.end() || !classes->is_array() || classes->empty() || !(*classes)[0].is_string()) {
    return invalid_argument(folder.path() + "/config.json: no \"architectures\"");
  }
  const auto& name = (*classes)[0].get_ref<const std::string&>();
  const Architecture* architecture = find_hugging_face_architecture(name);
  if (architecture == nullptr) {
    return unsupported(fmt::format("{}/config.json: architecture \"{}\" is not supported (this build runs {})",
                                   folder.path(), name, architecture_names()));
  }
  return read_hugging_face_config(config, architecture->name, folder.path());
}

}  // namespace

std::span<const Architecture> architectures() {
  return kArchitectures;
}

const Architecture* find_architecture(std::string_view gguf_name) {
  for (const Architecture& architecture : kArchitectures) {
    if (gguf_name == architecture.name) return &architecture;
  }
  return nullptr;
}

const Architecture* find_hugging_face_architecture(std::string_view class_name) {
  for (const Architecture& architecture : kArchitectures) {
    if (list_has(architecture.hugging_face_names, class_name)) return &architecture;
  }
  return nullptr;
}

std::string architecture_names() {
  std::string names;
  for (const Architecture& architecture : kArchitectures) {
    if (!names.empty()) names += ", ";
    names += architecture.name;
  }
  return names;
}

Result<ModelConfig> read_model_config(const WeightSource& source) {
  Result<ModelConfig> config = invalid_argument("a file of bare tensors has no model config: give its folder");
  if (const auto* file = dynamic_cast<const GgufFile*>(&source)) config = read_from_gguf(*file);
  if (const auto* folder = dynamic_cast<const HfFolder*>(&source)) config = read_from_folder(*folder);
  if (config.ok()) MLXR_RETURN_IF_ERROR(config->validate());
  return config;
}

Result<LoadedWeights> load_model(const WeightSource& source, Backend& backend) {
  MLXR_ASSIGN_OR_RETURN(ModelConfig config, read_model_config(source));
  const Architecture* architecture = find_architecture(config.architecture);
  WeightLoader loader(source, backend, config.naming);
  LoadedWeights loaded;
  MLXR_ASSIGN_OR_RETURN(loaded.model, architecture->load(std::move(config), loader));
  for (const std::string& name : loader.unused())
    loaded.warnings.push_back(fmt::format("tensor \"{}\" is not used", name));
  return loaded;
}

}  // namespace mlxr
