#include "daemon/registry/manifest.h"

#include <algorithm>
#include <set>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "core/base/checked.h"
#include "core/io/json_file.h"
#include "daemon/registry/digest.h"

namespace mlxr {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::size_t kMaxLayers = 20000;
constexpr std::size_t kMaxDepth = 32;

Result<Layer> parse_layer(const json& object, const std::string& where) {
  if (!object.is_object()) return corrupt(where + ": is no object");
  Layer layer;
  MLXR_ASSIGN_OR_RETURN(layer.media_type, json_string_or(object, "mediaType", "", where));
  MLXR_ASSIGN_OR_RETURN(const std::string digest, json_string(object, "digest", where));
  auto parsed = parse_digest(digest);
  if (!parsed.ok()) return corrupt(where + ": " + parsed.status().message());
  layer.digest = std::move(parsed).value();
  MLXR_ASSIGN_OR_RETURN(layer.size_bytes, json_uint(object, "size", where));
  MLXR_ASSIGN_OR_RETURN(layer.name, json_string_or(object, "name", "", where));
  MLXR_ASSIGN_OR_RETURN(layer.from, json_string_or(object, "from", "", where));
  return layer;
}

ordered_json layer_json(const Layer& layer) {
  ordered_json object{{"mediaType", layer.media_type}, {"digest", layer.digest}, {"size", layer.size_bytes}};
  if (!layer.name.empty()) object["name"] = layer.name;
  if (!layer.from.empty()) object["from"] = layer.from;
  return object;
}

// Parsers of JSON say kInvalidArgument or kNotFound of a field: here both mean that the bytes are broken.
Status as_corrupt(const Status& status) {
  return status.code() == StatusCode::kUnsupported ? status : corrupt(status.message());
}

Result<Manifest> parse(std::string_view bytes, const std::string& source) {
  MLXR_ASSIGN_OR_RETURN(const json document, parse_json(bytes, source, {kMaxManifestBytes, kMaxDepth}));
  if (!document.is_object()) return corrupt(source + ": a manifest is a JSON object");
  MLXR_ASSIGN_OR_RETURN(const std::uint64_t version, json_uint_or(document, "schemaVersion", 2, source));
  if (version != 2) return unsupported(fmt::format("{}: manifest of schema version {}, not 2", source, version));
  const json* config = json_find(document, "config");
  if (config == nullptr) return corrupt(source + ": the manifest has no config (an index of manifests?)");
  Manifest manifest;
  MLXR_ASSIGN_OR_RETURN(manifest.config, parse_layer(*config, source + ": config"));
  std::uint64_t total = manifest.config.size_bytes;
  if (const json* layers = json_find(document, "layers"); layers != nullptr) {
    if (!layers->is_array()) return corrupt(source + ": layers is no array");
    if (layers->size() > kMaxLayers) return corrupt(fmt::format("{}: more than {} layers", source, kMaxLayers));
    for (const json& entry : *layers) {
      MLXR_ASSIGN_OR_RETURN(Layer layer,
                            parse_layer(entry, fmt::format("{}: layer {}", source, manifest.layers.size())));
      const auto sum = checked_add(total, layer.size_bytes);
      if (!sum || *sum > static_cast<std::uint64_t>(INT64_MAX)) return corrupt(source + ": sizes overflow");
      total = *sum;
      manifest.layers.push_back(std::move(layer));
    }
  }
  return manifest;
}

Result<ManifestConfig> parse_config(std::string_view bytes, const std::string& source) {
  MLXR_ASSIGN_OR_RETURN(const json document, parse_json(bytes, source, {kMaxConfigBytes, kMaxDepth}));
  if (!document.is_object()) return corrupt(source + ": a config is a JSON object");
  ManifestConfig config;
  const std::pair<const char*, std::string*> texts[] = {
      {"model_format", &config.model_format}, {"model_family", &config.model_family},
      {"model_type", &config.model_type},     {"file_type", &config.file_type},
      {"renderer", &config.renderer},         {"parser", &config.parser},
      {"requires", &config.requires_version}, {"remote_host", &config.remote_host},
      {"remote_model", &config.remote_model}, {"base_name", &config.base_name}};
  for (const auto& [key, value] : texts) {
    MLXR_ASSIGN_OR_RETURN(*value, json_string_or(document, key, "", source));
  }
  if (json_find(document, "model_families") != nullptr) {
    MLXR_ASSIGN_OR_RETURN(config.model_families, json_strings(document, "model_families", source));
  }
  if (json_find(document, "capabilities") != nullptr) {
    MLXR_ASSIGN_OR_RETURN(config.capabilities, json_strings(document, "capabilities", source));
  }
  MLXR_ASSIGN_OR_RETURN(config.context_length, json_uint_or(document, "context_length", 0, source));
  MLXR_ASSIGN_OR_RETURN(config.embedding_length, json_uint_or(document, "embedding_length", 0, source));
  return config;
}

}  // namespace

const Layer* Manifest::find(std::string_view media_type) const {
  const auto found =
      std::find_if(layers.begin(), layers.end(), [&](const Layer& layer) { return layer.media_type == media_type; });
  return found == layers.end() ? nullptr : &*found;
}

std::uint64_t Manifest::total_bytes() const {
  std::set<std::string_view> seen{config.digest};
  std::uint64_t total = config.size_bytes;
  for (const Layer& layer : layers) {
    if (seen.insert(layer.digest).second) total += layer.size_bytes;
  }
  return total;
}

std::vector<std::string> Manifest::digests() const {
  std::set<std::string> unique{config.digest};
  for (const Layer& layer : layers)
    unique.insert(layer.digest);
  return {unique.begin(), unique.end()};
}

Result<Manifest> parse_manifest(std::string_view bytes, const std::string& source) {
  auto manifest = parse(bytes, source);
  if (!manifest.ok()) return as_corrupt(manifest.status());
  manifest->bytes = bytes;
  manifest->digest = digest_of(bytes);
  return manifest;
}

Manifest make_manifest(Layer config, std::vector<Layer> layers) {
  ordered_json document{{"schemaVersion", 2},
                        {"mediaType", media::kManifest},
                        {"config", layer_json(config)},
                        {"layers", ordered_json::array()}};
  for (const Layer& layer : layers)
    document["layers"].push_back(layer_json(layer));
  Manifest manifest{std::move(config), std::move(layers),
                    document.dump(-1, ' ', false, ordered_json::error_handler_t::replace), ""};
  manifest.digest = digest_of(manifest.bytes);
  return manifest;
}

Result<ManifestConfig> parse_manifest_config(std::string_view bytes, const std::string& source) {
  auto config = parse_config(bytes, source);
  return config.ok() ? std::move(config) : Result<ManifestConfig>(as_corrupt(config.status()));
}

std::string write_manifest_config(const ManifestConfig& config, const std::vector<Layer>& layers) {
  ordered_json document{{"model_format", config.model_format},
                        {"model_family", config.model_family},
                        {"model_families", config.model_families},
                        {"model_type", config.model_type},
                        {"file_type", config.file_type}};
  const std::pair<const char*, const std::string*> texts[] = {
      {"renderer", &config.renderer},         {"parser", &config.parser},
      {"requires", &config.requires_version}, {"remote_host", &config.remote_host},
      {"remote_model", &config.remote_model}, {"base_name", &config.base_name}};
  for (const auto& [key, value] : texts) {
    if (!value->empty()) document[key] = *value;
  }
  if (!config.capabilities.empty()) document["capabilities"] = config.capabilities;
  if (config.context_length != 0) document["context_length"] = config.context_length;
  if (config.embedding_length != 0) document["embedding_length"] = config.embedding_length;
  document["architecture"] = "amd64";
  document["os"] = "linux";
  std::vector<std::string> digests;
  for (const Layer& layer : layers)
    digests.push_back(layer.digest);
  document["rootfs"] = {{"type", "layers"}, {"diff_ids", digests}};
  return document.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace mlxr
