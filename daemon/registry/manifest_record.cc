#include "daemon/registry/manifest_record.h"

#include <algorithm>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "core/io/json_file.h"
#include "core/runtime/template/chat_template.h"
#include "daemon/registry/digest.h"
#include "daemon/registry/folder_view.h"
#include "daemon/registry/model_parameters.h"

namespace mlxr {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::size_t kMaxTextBytes = std::size_t{8} << 20;
constexpr std::size_t kMaxLicenses = 64;
constexpr std::size_t kMaxMessages = 4096;

std::string blob_path(const std::string& models_folder, const Layer& layer) {
  return models_folder + "/blobs/" + blob_file_name(layer.digest);
}

Status missing_blob(const Layer& layer) {
  return not_found(fmt::format("blob {} is missing; pull or create the model again", layer.digest));
}

Result<std::string> existing_blob(const std::string& models_folder, const Layer& layer) {
  std::string path = blob_path(models_folder, layer);
  const auto stamp = file_stamp(path);
  if (!stamp) return missing_blob(layer);
  if (stamp->size_bytes != layer.size_bytes) {
    return corrupt(fmt::format("blob {} has {} bytes instead of {}; pull the model again", layer.digest,
                               stamp->size_bytes, layer.size_bytes));
  }
  return path;
}

Result<std::string> text_of(const std::string& models_folder, const Layer& layer) {
  auto text = read_text_file(blob_path(models_folder, layer), kMaxTextBytes);
  if (!text.ok() && text.status().code() == StatusCode::kNotFound) return missing_blob(layer);
  return text;
}

void take_template(std::string text, ModelRecord& record) {
  if (is_jinja_template(text)) {
    record.chat_template = std::move(text);
  } else {
    record.go_template = std::move(text);
  }
}

// What the layers say, one by one.
Status take_layer(const std::string& models_folder, const Layer& layer, ModelRecord& record) {
  const std::string_view type = layer.media_type;
  if (type == media::kAdapter || type == media::kProjector || type == media::kDraft) {
    MLXR_ASSIGN_OR_RETURN(std::string path, existing_blob(models_folder, layer));
    if (type == media::kDraft) {
      record.draft_path = std::move(path);
    } else {
      (type == media::kAdapter ? record.adapter_paths : record.projector_paths).push_back(std::move(path));
    }
    return {};
  }
  const bool is_text = type == media::kTemplate || type == media::kPrompt || type == media::kSystem ||
                       type == media::kLicense || type == media::kMessages || type == media::kParams;
  if (!is_text) return {};
  MLXR_ASSIGN_OR_RETURN(std::string text, text_of(models_folder, layer));
  if (type == media::kTemplate || type == media::kPrompt) {
    take_template(std::move(text), record);
  } else if (type == media::kSystem) {
    record.system = std::move(text);
  } else if (type == media::kLicense) {
    if (record.licenses.size() < kMaxLicenses) record.licenses.push_back(std::move(text));
  } else if (type == media::kParams) {
    MLXR_ASSIGN_OR_RETURN(record.parameters, parse_parameters(text, blob_path(models_folder, layer), record.warnings));
  } else {
    auto messages = parse_messages(text, blob_path(models_folder, layer));
    if (!messages.ok()) return corrupt(messages.status().message());
    record.messages = std::move(*messages);
  }
  return {};
}

void take_config(const ManifestConfig& config, ModelRecord& record) {
  ModelDetails& details = record.details;
  const auto prefer = [](std::string& value, const std::string& other) {
    if (!other.empty()) value = other;
  };
  prefer(details.format, config.model_format);
  prefer(details.family, config.model_family);
  if (!config.model_families.empty()) details.families = config.model_families;
  prefer(details.parameter_size, config.model_type);
  prefer(details.quantization_level, config.file_type);
  record.renderer = config.renderer;
  record.parser = config.parser;
  record.requires_version = config.requires_version;
}

void warn(ModelRecord& record) {
  if (!record.go_template.empty() && record.chat_template.empty()) {
    record.warnings.emplace_back(record.own_template.empty()
                                     ? "its TEMPLATE is in Go's template language, which is not rendered, and the "
                                       "model has no Jinja template of its own: it completes text, and cannot chat"
                                     : "its TEMPLATE is in Go's template language, which is not rendered: the model's "
                                       "own Jinja template is used");
  }
  if (!record.adapter_paths.empty()) record.warnings.emplace_back("its adapter is not applied");
  if (!record.projector_paths.empty()) record.warnings.emplace_back("its image projector is not used");
}

}  // namespace

Result<ManifestConfig> read_config(const std::string& models_folder, const Manifest& manifest) {
  auto bytes = read_text_file(blob_path(models_folder, manifest.config), kMaxConfigBytes);
  if (!bytes.ok() && bytes.status().code() == StatusCode::kNotFound) return missing_blob(manifest.config);
  if (!bytes.ok()) return bytes.status();
  return parse_manifest_config(*bytes, blob_path(models_folder, manifest.config));
}

Result<std::string> model_path_of_manifest(const std::string& models_folder, const Manifest& manifest) {
  if (needs_folder_view(manifest)) return folder_view_model(models_folder, manifest);
  const Layer* layer = manifest.find(media::kModel);
  if (layer != nullptr) return existing_blob(models_folder, *layer);
  if (manifest.find(media::kTensor) != nullptr) {
    return unsupported("the model is stored a tensor a blob, which only Ollama's own engine reads");
  }
  return unsupported("the manifest has no model");
}

Result<ModelRecord> record_of_manifest(const std::string& models_folder, const Manifest& manifest,
                                       const InspectModel& inspect) {
  MLXR_ASSIGN_OR_RETURN(const ManifestConfig config, read_config(models_folder, manifest));
  if (!config.remote_host.empty()) {
    return unsupported(fmt::format("the model runs at {} and has no weights here", config.remote_host));
  }
  ModelRecord record;
  record.digest = manifest.digest;
  record.size_bytes = manifest.total_bytes();
  MLXR_ASSIGN_OR_RETURN(record.path, model_path_of_manifest(models_folder, manifest));
  for (const Layer& layer : manifest.layers)
    MLXR_RETURN_IF_ERROR(take_layer(models_folder, layer, record));
  MLXR_ASSIGN_OR_RETURN(ModelFacts facts, inspect(record.path));
  record.details = std::move(facts.details);
  record.own_template = std::move(facts.chat_template);
  record.capabilities = std::move(facts.capabilities);
  record.warnings.insert(record.warnings.end(), facts.warnings.begin(), facts.warnings.end());
  if (record.licenses.empty() && !facts.license.empty()) record.licenses.push_back(std::move(facts.license));
  take_config(config, record);
  if (const Layer* model = manifest.find(media::kModel); model != nullptr) record.details.parent_model = model->from;
  for (std::string& ability : template_abilities(record.chat_template)) {
    if (!record.can(ability)) record.capabilities.push_back(std::move(ability));
  }
  warn(record);
  return record;
}

bool is_jinja_template(const std::string& text) {
  if (text.find("{%") != std::string::npos) return true;
  if (text.find("{{") == std::string::npos) return false;
  const auto parsed = ChatTemplate::parse(text);
  return parsed.ok() && parsed->mentions("messages");
}

Result<std::vector<ModelMessage>> parse_messages(std::string_view text, const std::string& source) {
  MLXR_ASSIGN_OR_RETURN(const json document, parse_json(text, source, {kMaxTextBytes, 16}));
  if (!document.is_array() || document.size() > kMaxMessages) {
    return invalid_argument(fmt::format("{}: messages are an array of at most {}", source, kMaxMessages));
  }
  std::vector<ModelMessage> messages;
  for (const json& entry : document) {
    if (!entry.is_object()) return invalid_argument(source + ": a message is an object");
    ModelMessage message;
    MLXR_ASSIGN_OR_RETURN(message.role, json_string(entry, "role", source));
    MLXR_ASSIGN_OR_RETURN(message.content, json_string_or(entry, "content", "", source));
    messages.push_back(std::move(message));
  }
  return messages;
}

std::string messages_to_json(const std::vector<ModelMessage>& messages) {
  ordered_json list = ordered_json::array();
  for (const ModelMessage& message : messages)
    list.push_back({{"role", message.role}, {"content", message.content}});
  return list.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace mlxr
