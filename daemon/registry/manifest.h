#pragma once
// Manifests and their config blobs, as Ollama's registry and store have them. Bytes from outside: sizes, counts and
// digests are checked; what is not known is kept, since the bytes of a manifest are kept as they came.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace mlxr {

namespace media {
inline constexpr std::string_view kManifest = "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view kConfig = "application/vnd.docker.container.image.v1+json";
inline constexpr std::string_view kModel = "application/vnd.ollama.image.model";  // GGUF; with a name: a shard of one
inline constexpr std::string_view kProjector = "application/vnd.ollama.image.projector";
inline constexpr std::string_view kAdapter = "application/vnd.ollama.image.adapter";
inline constexpr std::string_view kDraft = "application/vnd.ollama.image.draft";
inline constexpr std::string_view kTemplate = "application/vnd.ollama.image.template";
inline constexpr std::string_view kSystem = "application/vnd.ollama.image.system";
inline constexpr std::string_view kPrompt = "application/vnd.ollama.image.prompt";  // old name of a template
inline constexpr std::string_view kLicense = "application/vnd.ollama.image.license";
inline constexpr std::string_view kMessages = "application/vnd.ollama.image.messages";
inline constexpr std::string_view kParams = "application/vnd.ollama.image.params";
inline constexpr std::string_view kTensor = "application/vnd.ollama.image.tensor";  // one tensor a blob: not run here
inline constexpr std::string_view kJson = "application/vnd.ollama.image.json";      // a side file, with its name
// A file of a Hugging Face folder, whole, with its name ("model-00001-of-00002.safetensors", "tokenizer.json").
inline constexpr std::string_view kFile = "application/vnd.mlxr.image.file";
}  // namespace media

struct Layer {
  std::string media_type;
  std::string digest;  // "sha256:..." in its one spelling
  std::uint64_t size_bytes = 0;
  std::string name = {};  // a file name of a folder: relative, without ".."; empty for most
  std::string from = {};  // the model that it was taken from

  bool operator==(const Layer&) const = default;
};

struct Manifest {
  Layer config;
  std::vector<Layer> layers;
  std::string bytes;   // as they came, or as written
  std::string digest;  // of `bytes`

  // The first layer of the type; nullptr when there is none.
  const Layer* find(std::string_view media_type) const;
  // Of config and layers, each blob once.
  std::uint64_t total_bytes() const;
  // Config and layers, each once.
  std::vector<std::string> digests() const;
};

inline constexpr std::size_t kMaxManifestBytes = std::size_t{4} << 20;
inline constexpr std::size_t kMaxConfigBytes = std::size_t{1} << 20;

// kCorrupt or kUnsupported; `source` names the manifest in errors.
Result<Manifest> parse_manifest(std::string_view bytes, const std::string& source);
// With `bytes` and `digest` set.
Manifest make_manifest(Layer config, std::vector<Layer> layers);

// The config blob. Empty strings and zeros where it says nothing.
struct ManifestConfig {
  std::string model_format = {};  // "gguf", "safetensors"
  std::string model_family = {};
  std::vector<std::string> model_families = {};
  std::string model_type = {};  // the size: "8.0B"
  std::string file_type = {};   // the quantization: "Q4_K_M"
  std::string renderer = {};
  std::string parser = {};
  std::string requires_version = {};
  std::string remote_host = {};
  std::string remote_model = {};
  std::string base_name = {};
  std::vector<std::string> capabilities = {};
  std::uint64_t context_length = 0;
  std::uint64_t embedding_length = 0;
};

Result<ManifestConfig> parse_manifest_config(std::string_view bytes, const std::string& source);
// JSON with rootfs.diff_ids of the layers, as Ollama writes it.
std::string write_manifest_config(const ManifestConfig& config, const std::vector<Layer>& layers);

}  // namespace mlxr
