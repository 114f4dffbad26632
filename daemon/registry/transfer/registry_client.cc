#include "daemon/registry/transfer/registry_client.h"

#include <utility>

#include <fmt/core.h>

#include "daemon/registry/transfer/url.h"

namespace mlxr {

// Asks the registry where a blob is; on threads of downloads.
class RegistryBlobSource : public BlobSource {
 public:
  RegistryBlobSource(RegistryClient client, std::string digest)
      : client_(std::move(client)), digest_(std::move(digest)) {}

  Result<BlobAddress> locate(const CancelToken& cancel) override {
    HttpRequest request{.url = fmt::format("{}/blobs/{}", client_.repository_url(), digest_)};
    for (bool renewed = false;; renewed = true) {
      request.authorization = client_.authorization();
      MLXR_ASSIGN_OR_RETURN(ProbeReply probe, probe_blob(client_.http_, request, cancel));
      if (probe.ok) return std::move(probe.address);
      if (probe.refused.status != 401 || renewed) return client_.refusal(probe.refused, digest_);
      MLXR_ASSIGN_OR_RETURN(const std::string ignored, client_.renew_authorization(probe.refused, cancel));
    }
  }

 private:
  RegistryClient client_;
  std::string digest_;
};

RegistryClient::RegistryClient(const HttpClient& http, const TransferSettings& settings, TokenCache& tokens,
                               const ModelName& name)
    : http_(http),
      settings_(settings),
      tokens_(tokens),
      base_url_(name.host == kDefaultHost
                    ? settings.registry_url
                    : fmt::format("{}://{}", name.scheme.empty() ? "https" : name.scheme, name.host)),
      host_(name.host),
      repository_(name.name_space + "/" + name.model),
      tag_(name.tag),
      display_(name.display()),
      cache_key_(base_url_ + " " + repository_) {
  while (base_url_.ends_with('/'))
    base_url_.pop_back();
}

std::unique_ptr<BlobSource> RegistryClient::blob(const std::string& digest) const {
  return std::make_unique<RegistryBlobSource>(*this, digest);
}

// What worked last, else what somebody logged in with.
std::string RegistryClient::authorization() {
  std::string known = tokens_.find(cache_key_);
  if (!known.empty()) return known;
  const auto token = CredentialStore(settings_.credentials_path).token(host_);
  return token.ok() && *token ? authorization_of_token(**token) : std::string();
}

Result<std::string> RegistryClient::renew_authorization(const HttpReply& refused, const CancelToken& cancel) {
  const std::string* header = find_header(refused.headers, "WWW-Authenticate");
  const auto challenge = header == nullptr ? std::nullopt : parse_bearer_challenge(*header);
  if (!challenge) return refusal(refused, display_);
  MLXR_ASSIGN_OR_RETURN(const auto token, CredentialStore(settings_.credentials_path).token(host_));
  std::string shown = token ? authorization_of_token(*token) : std::string();
  if (!shown.starts_with("Basic ")) shown.clear();
  MLXR_ASSIGN_OR_RETURN(std::string authorization, fetch_token({.http = http_,
                                                                .challenge = *challenge,
                                                                .registry_url = base_url_,
                                                                .key_path = settings_.key_path,
                                                                .basic = std::move(shown)},
                                                               cancel));
  tokens_.set(cache_key_, authorization);
  return authorization;
}

Result<HttpReply> RegistryClient::send(HttpRequest request, const CancelToken& cancel) {
  request.authorization = authorization();
  MLXR_ASSIGN_OR_RETURN(HttpReply reply, http_.send_with_retries(request, cancel));
  if (reply.status != 401) return reply;
  MLXR_ASSIGN_OR_RETURN(request.authorization, renew_authorization(reply, cancel));
  return http_.send_with_retries(request, cancel);
}

Status RegistryClient::refusal(const HttpReply& reply, const std::string& what) const {
  if (reply.status == 404) return not_found(fmt::format("{} is not at {}", what, host_));
  if (reply.status == 401 || reply.status == 403) {
    return invalid_argument(fmt::format("{} does not give access to {} ({}); log in with `mlxr login {}`", host_, what,
                                        reply.summary(), host_));
  }
  if (is_passing_failure(reply.status)) return internal(fmt::format("{}: {}", host_, reply.summary()));
  return invalid_argument(fmt::format("{}: {}: {}", host_, what, reply.summary()));
}

Result<std::string> RegistryClient::manifest(const CancelToken& cancel) {
  MLXR_ASSIGN_OR_RETURN(HttpReply reply, send({.url = fmt::format("{}/manifests/{}", repository_url(), tag_),
                                               .headers = {{"Accept", std::string(media::kManifest)}},
                                               .max_body_bytes = kMaxManifestBytes},
                                              cancel));
  if (reply.status == 404) return not_found(fmt::format("model \"{}\" not found at {}", display_, host_));
  if (!reply.ok()) return refusal(reply, display_);
  return std::move(reply.body);
}

Result<std::string> RegistryClient::manifest_signature(const CancelToken& cancel) {
  constexpr std::uint64_t kMaxSignatureBytes = 4096;
  MLXR_ASSIGN_OR_RETURN(HttpReply reply, send({.url = fmt::format("{}/manifests/{}.sig", repository_url(), tag_),
                                               .max_body_bytes = kMaxSignatureBytes},
                                              cancel));
  if (!reply.ok()) return refusal(reply, "the signature of " + display_);
  return std::move(reply.body);
}

Result<bool> RegistryClient::has_blob(const std::string& digest, const CancelToken& cancel) {
  MLXR_ASSIGN_OR_RETURN(const HttpReply reply,
                        send({.method = "HEAD", .url = fmt::format("{}/blobs/{}", repository_url(), digest)}, cancel));
  if (reply.ok()) return true;
  if (reply.status == 404) return false;
  return refusal(reply, digest);
}

Status RegistryClient::put_manifest(const std::string& bytes, const CancelToken& cancel) {
  MLXR_ASSIGN_OR_RETURN(const HttpReply reply, send({.method = "PUT",
                                                     .url = fmt::format("{}/manifests/{}", repository_url(), tag_),
                                                     .headers = {{"Content-Type", std::string(media::kManifest)}},
                                                     .body = bytes},
                                                    cancel));
  return reply.ok() ? Status() : refusal(reply, display_);
}

}  // namespace mlxr
