#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "daemon/registry/digest.h"
#include "daemon/registry/folder_view.h"
#include "daemon/registry/transfer/base64.h"
#include "daemon/registry/transfer/blob_fetch.h"
#include "daemon/registry/transfer/ed25519.h"
#include "daemon/registry/transfer/hub_client.h"
#include "daemon/registry/transfer/registry_client.h"
#include "daemon/registry/transfer/transfer_resources.h"

namespace mlxr {
namespace {

class Pull {
 public:
  Pull(const TransferJob& job, ModelName name)
      : job_(job),
        name_(std::move(name)),
        http_(std::make_shared<HttpClient>(http_settings(job.resources.settings, job.options))) {}

  Status run() {
    say("pulling manifest");
    // From here on nobody takes away what the model will be made of.
    MLXR_ASSIGN_OR_RETURN(std::unique_ptr<StoreLease> lease, job_.resources.blobs->lease());
    std::optional<Manifest> before;
    if (auto old = job_.resources.manifests.read(name_); old.ok()) before = std::move(*old);
    auto manifest = name_.is_hugging_face() ? from_hub() : from_registry();
    if (!manifest.ok()) return manifest.status();
    if (job_.cancel.cancelled()) return cancelled("cancelled");
    say("verifying sha256 digest");
    if (needs_folder_view(*manifest)) {
      MLXR_ASSIGN_OR_RETURN(const std::string folder, make_folder_view(job_.resources.settings.models_dir, *manifest));
    }
    say("writing manifest");
    MLXR_RETURN_IF_ERROR(job_.resources.manifests.write(name_, *manifest));
    lease.reset();
    if (before && before->digest != manifest->digest) remove_unused(*before);
    say("success");
    return {};
  }

 private:
  void say(const std::string& status) const { job_.sink({.status = status}); }

  Result<Manifest> from_registry();
  Result<Manifest> from_hub();
  Result<HubChoice> choose(HubClient& hub, HubClient::Listing& listing);
  Result<Manifest> hub_manifest(const HubChoice& choice, std::vector<Layer> layers);
  Status check_signature(const std::string& bytes, const Result<std::string>& signature) const;
  bool wants_signature() const { return !job_.resources.settings.trust_path.empty(); }
  void remove_unused(const Manifest& before) const;

  const TransferJob& job_;
  ModelName name_;
  std::shared_ptr<const HttpClient> http_;
};

// A signature is base64 of 64 bytes over the manifest's bytes.
Status Pull::check_signature(const std::string& bytes, const Result<std::string>& signature) const {
  MLXR_ASSIGN_OR_RETURN(const TrustedKeys keys, TrustedKeys::load(job_.resources.settings.trust_path));
  if (!signature.ok()) {
    if (signature.status().code() != StatusCode::kNotFound) return signature.status();
    return corrupt(fmt::format("{} is not signed, and only signed models are wanted (trust file {})", name_.display(),
                               job_.resources.settings.trust_path));
  }
  std::string text = *signature;
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' '))
    text.pop_back();
  const auto raw = base64_decode(text);
  if (raw && keys.verify(bytes, *raw)) return {};
  return corrupt(fmt::format("{}: the signature of the manifest is of no key in {}", name_.display(),
                             job_.resources.settings.trust_path));
}

Result<Manifest> Pull::from_registry() {
  RegistryClient client(*http_, job_.resources.settings, job_.resources.tokens, name_);
  MLXR_ASSIGN_OR_RETURN(const std::string bytes, client.manifest(job_.cancel));
  MLXR_ASSIGN_OR_RETURN(Manifest manifest,
                        parse_manifest(bytes, fmt::format("manifest of {} at {}", name_.display(), client.host())));
  if (!name_.digest.empty() && name_.digest != manifest.digest) {
    return corrupt(fmt::format("{}: the manifest has digest {}, not the one that was asked for", name_.display(),
                               manifest.digest));
  }
  if (wants_signature()) MLXR_RETURN_IF_ERROR(check_signature(bytes, client.manifest_signature(job_.cancel)));
  std::vector<WantedBlob> wanted;
  std::set<std::string> seen;
  const auto want = [&](const Layer& layer) {
    if (layer.digest.empty() || !seen.insert(layer.digest).second) return;
    wanted.push_back({.spec = {.digest = layer.digest, .size = layer.size_bytes}, .source = client.blob(layer.digest)});
  };
  for (const Layer& layer : manifest.layers)
    want(layer);
  want(manifest.config);
  MLXR_RETURN_IF_ERROR(fetch_blobs(job_, http_, wanted));
  return manifest;
}

Result<HubChoice> Pull::choose(HubClient& hub, HubClient::Listing& listing) {
  const std::string repository = "hf.co/" + name_.name_space + "/" + name_.model;
  const bool has_tag = !name_.tag.empty() && name_.tag != kDefaultTag;
  MLXR_ASSIGN_OR_RETURN(listing, hub.list("main", job_.cancel));
  if (has_gguf(listing.files)) return choose_gguf(listing.files, name_.tag, repository);
  if (has_tag) {
    MLXR_ASSIGN_OR_RETURN(listing, hub.list(name_.tag, job_.cancel));
  }
  std::string index;
  for (const HubFile& file : listing.files) {
    if (file.path != kSafetensorsIndex) continue;
    MLXR_ASSIGN_OR_RETURN(index, hub.read(listing.commit, file, job_.cancel));
  }
  return choose_safetensors(listing.files, index, repository);
}

Result<Manifest> Pull::hub_manifest(const HubChoice& choice, std::vector<Layer> layers) {
  const ManifestConfig config{.model_format = choice.is_gguf ? "gguf" : "safetensors",
                              .file_type = choice.quantization,
                              .base_name = name_.model};
  const std::string bytes = write_manifest_config(config, layers);
  MLXR_ASSIGN_OR_RETURN(const std::string digest, job_.resources.blobs->put(bytes));
  return make_manifest({.media_type = std::string(media::kConfig), .digest = digest, .size_bytes = bytes.size()},
                       std::move(layers));
}

Result<Manifest> Pull::from_hub() {
  if (!name_.digest.empty()) return invalid_argument("a model of the hub has no manifest that a digest could name");
  HubClient hub(*http_, job_.resources.settings, name_.name_space + "/" + name_.model);
  HubClient::Listing listing;
  MLXR_ASSIGN_OR_RETURN(const HubChoice choice, choose(hub, listing));
  for (const std::string& note : choice.notes)
    say(note);
  std::vector<WantedBlob> wanted;
  std::vector<Layer> layers;
  for (const HubFile& file : choice.files) {
    const std::string name = choice.is_gguf ? file.path.substr(file.path.rfind('/') + 1) : file.path;
    Layer layer{.media_type = std::string(choice.is_gguf ? media::kModel : media::kFile),
                .digest = file.sha256,
                .size_bytes = file.size,
                .name = choice.is_gguf && choice.files.size() == 1 ? std::string() : name};
    if (file.sha256.empty()) {
      // Git holds it: short, and known by a SHA-1 that says nothing about the blob's name.
      MLXR_ASSIGN_OR_RETURN(const std::string bytes, hub.read(listing.commit, file, job_.cancel));
      MLXR_ASSIGN_OR_RETURN(layer.digest, job_.resources.blobs->put(bytes));
      job_.sink({.status = "pulling " + short_digest(layer.digest),
                 .digest = layer.digest,
                 .total = file.size,
                 .completed = file.size});
    } else if (std::none_of(wanted.begin(), wanted.end(),
                            [&](const WantedBlob& blob) { return blob.spec.digest == file.sha256; })) {
      wanted.push_back({.spec = {.digest = file.sha256, .size = file.size}, .source = hub.file(listing.commit, file)});
    }
    layers.push_back(std::move(layer));
  }
  MLXR_RETURN_IF_ERROR(fetch_blobs(job_, http_, wanted));
  MLXR_ASSIGN_OR_RETURN(Manifest manifest, hub_manifest(choice, std::move(layers)));
  if (wants_signature()) {
    const auto found = std::find_if(listing.files.begin(), listing.files.end(),
                                    [](const HubFile& file) { return file.path == "manifest.sig"; });
    Result<std::string> signature = not_found("no manifest.sig");
    if (found != listing.files.end()) signature = hub.read(listing.commit, *found, job_.cancel);
    MLXR_RETURN_IF_ERROR(check_signature(manifest.bytes, signature));
  }
  return manifest;
}

// What only the manifest before referred to. A failure here costs space, not the pull.
void Pull::remove_unused(const Manifest& before) const {
  say("removing unused layers");
  const ManifestStore& manifests = job_.resources.manifests;
  const auto references = [&manifests]() -> Result<std::set<std::string>> {
    std::set<std::string> digests;
    for (const ManifestFile& file : manifests.list()) {
      MLXR_ASSIGN_OR_RETURN(const Manifest manifest, manifests.read(file));
      for (const std::string& digest : manifest.digests())
        digests.insert(digest);
    }
    return digests;
  };
  const std::vector<std::string> candidates = before.digests();
  const auto collected = job_.resources.blobs->collect(references, {.only = &candidates});
  if (collected.ok()) remove_folder_view(job_.resources.settings.models_dir, before);
}

}  // namespace

Status run_pull(const TransferJob& job) {
  MLXR_ASSIGN_OR_RETURN(ModelName name, parse_model_name(job.name));
  if (name.scheme == "http" && !job.options.insecure) {
    return invalid_argument(fmt::format("{} is plain http, which is used only when asked for (--insecure)", job.name));
  }
  Pull pull(job, std::move(name));
  return pull.run();
}

}  // namespace mlxr
