#include "daemon/registry/create.h"

#include <algorithm>
#include <filesystem>

#include <fmt/core.h>

#include "core/runtime/template/chat_template.h"
#include "daemon/registry/digest.h"
#include "daemon/registry/file_stamp.h"
#include "daemon/registry/folder_view.h"
#include "daemon/registry/manifest_record.h"
#include "daemon/registry/model_facts.h"
#include "daemon/registry/model_parameters.h"
#include "daemon/registry/model_sources.h"
#include "daemon/registry/visible_text.h"

namespace mlxr {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTextTypes[] = {media::kTemplate, media::kPrompt, media::kSystem,
                                           media::kLicense,  media::kParams, media::kMessages};

bool is_text_layer(const Layer& layer) {
  return std::find(std::begin(kTextTypes), std::end(kTextTypes), layer.media_type) != std::end(kTextTypes);
}

bool is_weights_layer(const Layer& layer) {
  return layer.media_type == media::kModel || layer.media_type == media::kFile;
}

class Creation {
 public:
  Creation(Catalog& catalog, const CreateRequest& request, const CreateOptions& options)
      : catalog_(catalog),
        request_(request),
        progress_(options.progress),
        sources_(catalog, progress_, options.num_threads) {}

  Result<ModelRecord> run() {
    MLXR_ASSIGN_OR_RETURN(const ModelName name, parse_model_name(request_.model));
    MLXR_RETURN_IF_ERROR(check());
    std::vector<std::string> replaced;
    if (const auto old = catalog_.manifests().read(name); old.ok()) replaced = old->digests();
    {
      MLXR_ASSIGN_OR_RETURN(const auto lease, catalog_.blobs().lease());
      MLXR_RETURN_IF_ERROR(take_weights());
      MLXR_RETURN_IF_ERROR(take_side_models());
      MLXR_RETURN_IF_ERROR(put_texts());
      MLXR_ASSIGN_OR_RETURN(const Layer config, put_config());
      const Manifest manifest = make_manifest(config, layers_);
      if (needs_folder_view(manifest)) {
        MLXR_RETURN_IF_ERROR(make_folder_view(catalog_.models_folder(), manifest).status());
      }
      MLXR_RETURN_IF_ERROR(progress_.tell("writing manifest"));
      MLXR_RETURN_IF_ERROR(catalog_.manifests().write(name, manifest));
    }
    if (!replaced.empty()) {
      // Blobs of the model that was replaced; where they stay, a later collection finds them.
      [[maybe_unused]] const auto collected = catalog_.collect_garbage({.only = &replaced});
    }
    // The model is there, whoever still listens.
    [[maybe_unused]] const Status told = progress_.tell("success");
    return catalog_.resolve(name.full());
  }

 private:
  Status check() const {
    if (request_.from.empty() == request_.files.empty()) {
      return invalid_argument(request_.from.empty() ? "neither \"from\" or \"files\" was specified"
                                                    : "\"from\" and \"files\" cannot be given together");
    }
    if (request_.template_text && is_jinja_template(*request_.template_text)) {
      const auto parsed = ChatTemplate::parse(*request_.template_text);
      if (!parsed.ok()) return invalid_argument("template error: " + parsed.status().message());
    }
    return {};
  }

  Status take_weights() {
    if (request_.from.empty()) {
      MLXR_ASSIGN_OR_RETURN(layers_, sources_.from_blobs(request_.files, request_.quantize));
      if (!std::any_of(layers_.begin(), layers_.end(), is_weights_layer)) {
        return invalid_argument("the files hold no model");
      }
      return {};
    }
    MLXR_ASSIGN_OR_RETURN(base_, catalog_.resolve(request_.from));
    if (base_.origin == ModelOrigin::kStore) return take_layers_of_base();
    MLXR_ASSIGN_OR_RETURN(layers_, sources_.from_path(base_.path, request_.quantize));
    for (const std::string& path : base_.adapter_paths)
      MLXR_RETURN_IF_ERROR(add_file(path, media::kAdapter));
    for (const std::string& path : base_.projector_paths)
      MLXR_RETURN_IF_ERROR(add_file(path, media::kProjector));
    return {};
  }

  Status take_layers_of_base() {
    MLXR_ASSIGN_OR_RETURN(const ModelName name, parse_model_name(base_.full_name));
    MLXR_ASSIGN_OR_RETURN(const Manifest manifest, catalog_.manifests().read(name));
    if (!request_.quantize.empty()) {
      MLXR_ASSIGN_OR_RETURN(layers_, sources_.quantized(base_.path, request_.quantize));
    }
    for (const Layer& layer : manifest.layers) {
      if (is_text_layer(layer) || (is_weights_layer(layer) && !request_.quantize.empty())) continue;
      if (!catalog_.blobs().reuse(layer.digest)) return not_found(fmt::format("blob {} is missing", layer.digest));
      MLXR_RETURN_IF_ERROR(progress_.tell("using existing layer " + layer.digest));
      layers_.push_back(layer);
      if (is_weights_layer(layer)) layers_.back().from = base_.name;
    }
    return {};
  }

  Status add_file(const std::string& path, std::string_view media_type) {
    MLXR_ASSIGN_OR_RETURN(Layer layer, sources_.file_layer(path, media_type));
    layers_.push_back(std::move(layer));
    return {};
  }

  // Adapters, projectors, a draft model. New ones replace those of the base.
  Status take_side_models() {
    const auto drop = [this](std::string_view type) {
      std::erase_if(layers_, [&](const Layer& layer) { return layer.media_type == type; });
    };
    if (!request_.adapters.empty() || !request_.adapter_paths.empty()) drop(media::kAdapter);
    MLXR_RETURN_IF_ERROR(add_blobs(request_.adapters, media::kAdapter));
    for (const std::string& path : request_.adapter_paths)
      MLXR_RETURN_IF_ERROR(add_file(path, media::kAdapter));
    for (const std::string& path : request_.projector_paths)
      MLXR_RETURN_IF_ERROR(add_file(path, media::kProjector));
    if (request_.draft.empty() && request_.draft_files.empty()) {
      return request_.draft_quantize.empty() ? Status()
                                             : invalid_argument("draft_quantize is given without a draft model");
    }
    drop(media::kDraft);
    std::vector<Layer> draft;
    if (request_.draft.empty()) {
      MLXR_ASSIGN_OR_RETURN(draft, sources_.from_blobs(request_.draft_files, request_.draft_quantize));
    } else {
      MLXR_ASSIGN_OR_RETURN(const ModelRecord record, catalog_.resolve(request_.draft));
      MLXR_ASSIGN_OR_RETURN(draft, sources_.from_path(record.path, request_.draft_quantize));
    }
    if (draft.size() != 1 || draft[0].media_type != media::kModel) {
      return unsupported("a draft model is one GGUF file");
    }
    draft[0].media_type = media::kDraft;
    layers_.push_back(draft[0]);
    return {};
  }

  Status add_blobs(const std::vector<NamedBlob>& files, std::string_view media_type) {
    for (const auto& [name, digest] : files) {
      const std::string shown = visible_text(name, 100);
      if (!is_safe_file_name(name)) return invalid_argument(fmt::format("invalid file name \"{}\"", shown));
      if (!catalog_.blobs().reuse(digest)) {
        return not_found(fmt::format("blob {} of the file \"{}\" does not exist", digest, shown));
      }
      MLXR_RETURN_IF_ERROR(progress_.tell("using existing layer " + digest));
      layers_.push_back({std::string(media_type), digest, catalog_.blobs().size(digest).value_or(0)});
    }
    return {};
  }

  Status put_text(std::string_view media_type, const std::string& text) {
    if (text.empty()) return {};
    const bool there = catalog_.blobs().has(digest_of(text));
    MLXR_ASSIGN_OR_RETURN(std::string digest, catalog_.blobs().put(text));
    MLXR_RETURN_IF_ERROR(progress_.tell((there ? "using existing layer " : "creating new layer ") + digest));
    layers_.push_back({std::string(media_type), std::move(digest), text.size()});
    return {};
  }

  Status put_texts() {
    const std::string base_template = base_.chat_template.empty() ? base_.go_template : base_.chat_template;
    MLXR_RETURN_IF_ERROR(put_text(media::kTemplate, request_.template_text.value_or(base_template)));
    MLXR_RETURN_IF_ERROR(put_text(media::kSystem, request_.system.value_or(base_.system)));
    const ModelParameters parameters = merge_parameters(base_.parameters, request_.parameters);
    if (!parameters.empty()) MLXR_RETURN_IF_ERROR(put_text(media::kParams, parameters_to_json(parameters)));
    const auto& messages = request_.messages ? *request_.messages : base_.messages;
    if (!messages.empty()) MLXR_RETURN_IF_ERROR(put_text(media::kMessages, messages_to_json(messages)));
    for (const std::string& license : request_.licenses ? *request_.licenses : base_.licenses)
      MLXR_RETURN_IF_ERROR(put_text(media::kLicense, license));
    return {};
  }

  Result<Layer> put_config() {
    const Manifest draft = make_manifest({std::string(media::kConfig), digest_of(""), 0}, layers_);
    ManifestConfig config;
    MLXR_ASSIGN_OR_RETURN(const std::string path, model_path_of_manifest(catalog_.models_folder(), draft));
    auto facts = inspect_model(path);
    if (needs_folder_view(draft)) remove_folder_view(catalog_.models_folder(), draft);
    if (!facts.ok()) return facts.status();
    const ModelDetails& details = facts->details;
    config.model_format = details.format;
    config.model_family = details.family;
    config.model_families = details.families;
    config.model_type = details.parameter_size;
    config.file_type = details.quantization_level;
    config.context_length = static_cast<std::uint64_t>(std::max<std::int64_t>(details.context_length, 0));
    config.embedding_length = static_cast<std::uint64_t>(std::max<std::int64_t>(details.embedding_length, 0));
    const auto choose = [](const std::string& mine, const std::string& base) { return mine.empty() ? base : mine; };
    config.renderer = choose(request_.renderer, base_.renderer);
    config.parser = choose(request_.parser, base_.parser);
    config.requires_version = choose(request_.requires_version, base_.requires_version);
    const std::string bytes = write_manifest_config(config, layers_);
    MLXR_ASSIGN_OR_RETURN(std::string digest, catalog_.blobs().put(bytes));
    return Layer{std::string(media::kConfig), std::move(digest), bytes.size()};
  }

  Catalog& catalog_;
  const CreateRequest& request_;
  CreateProgress progress_;
  SourceLayers sources_;
  ModelRecord base_;  // empty when made from files
  std::vector<Layer> layers_;
};

// "./x", "x.gguf" or "." beside a Modelfile; a name of a model stays one.
std::string path_or_name(const std::string& text, const std::string& folder) {
  const fs::path path = text.starts_with('/') ? fs::path(text) : fs::path(folder) / text;
  std::error_code error;
  if (text.starts_with("~/") || !fs::exists(path, error)) return text;
  return fs::absolute(path).lexically_normal().string();
}

}  // namespace

Result<ModelRecord> create_model(Catalog& catalog, const CreateRequest& request, const CreateOptions& options) {
  return Creation(catalog, request, options).run();
}

Result<CreateRequest> create_request_of(const Modelfile& modelfile, const std::string& model,
                                        const std::string& folder) {
  CreateRequest request;
  request.model = model;
  for (const std::string& from : modelfile.from) {
    const std::string path = path_or_name(from, folder);
    if (request.from.empty()) {
      request.from = path;
    } else if (path.starts_with('/')) {
      request.projector_paths.push_back(path);
    } else {
      return invalid_argument(fmt::format("FROM \"{}\": there is a FROM already", visible_text(from, 100)));
    }
  }
  for (const std::string& adapter : modelfile.adapters)
    request.adapter_paths.push_back(path_or_name(adapter, folder));
  if (modelfile.drafts.size() > 1) return invalid_argument("there is more than one DRAFT");
  if (!modelfile.drafts.empty()) request.draft = path_or_name(modelfile.drafts[0], folder);
  request.template_text = modelfile.template_text;
  request.system = modelfile.system;
  if (!modelfile.licenses.empty()) request.licenses = modelfile.licenses;
  if (!modelfile.messages.empty()) request.messages = modelfile.messages;
  request.parameters = modelfile.parameters;
  request.renderer = modelfile.renderer;
  request.parser = modelfile.parser;
  request.requires_version = modelfile.requires_version;
  return request;
}

}  // namespace mlxr
