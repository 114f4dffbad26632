#pragma once
// One repository of a registry that speaks Ollama's protocol (Docker's v2 with layers of models). One thread at a time.

#include <functional>
#include <memory>
#include <string>

#include "core/base/status.h"
#include "daemon/registry/manifest.h"
#include "daemon/registry/model_name.h"
#include "daemon/registry/transfer/blob_source.h"
#include "daemon/registry/transfer/registry_auth.h"
#include "daemon/registry/transfer/transfers.h"

namespace mlxr {

class RegistryClient {
 public:
  // All references must outlive the client.
  RegistryClient(const HttpClient& http, const TransferSettings& settings, TokenCache& tokens, const ModelName& name);

  // The manifest's bytes. kNotFound, or kInvalidArgument when the registry does not let us in.
  Result<std::string> manifest(const CancelToken& cancel);
  // The signature of the manifest: what lies beside it as TAG.sig. kNotFound.
  Result<std::string> manifest_signature(const CancelToken& cancel);
  // The client must outlive the source's last locate(); sources are used on other threads than the client.
  std::unique_ptr<BlobSource> blob(const std::string& digest) const;

  Result<bool> has_blob(const std::string& digest, const CancelToken& cancel);
  // From a file that has been opened. `on_sent` gets the bytes sent so far, which may go back when a try fails.
  struct Upload {
    Layer layer;
    int fd = -1;
    std::function<void(std::uint64_t)> on_sent;
  };
  Status upload(const Upload& upload, const CancelToken& cancel);
  Status put_manifest(const std::string& bytes, const CancelToken& cancel);

  const std::string& host() const { return host_; }

 private:
  friend class RegistryBlobSource;

  // Sends with what lets us in; a 401 is answered once with a new token.
  Result<HttpReply> send(HttpRequest request, const CancelToken& cancel);
  Result<std::string> renew_authorization(const HttpReply& refused, const CancelToken& cancel);
  std::string authorization();
  Status refusal(const HttpReply& reply, const std::string& what) const;
  std::string repository_url() const { return base_url_ + "/v2/" + repository_; }
  Status upload_once(const Upload& upload, const CancelToken& cancel);
  struct UploadState;
  Status upload_part(const Upload& upload, UploadState& state, const CancelToken& cancel);

  const HttpClient& http_;
  const TransferSettings& settings_;
  TokenCache& tokens_;
  std::string base_url_;
  std::string host_;
  std::string repository_;
  std::string tag_;
  std::string display_;
  std::string cache_key_;
};

}  // namespace mlxr
