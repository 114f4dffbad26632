#pragma once
// One repository of the Hugging Face hub, through its API: which files, of what digests, and their bytes. One thread at
// a time. Source: huggingface.co/docs/hub/api.

#include <memory>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "daemon/registry/transfer/blob_source.h"
#include "daemon/registry/transfer/hub_files.h"
#include "daemon/registry/transfer/transfers.h"

namespace mlxr {

class HubClient {
 public:
  // `repository` is USER/NAME. References must outlive the client.
  HubClient(const HttpClient& http, const TransferSettings& settings, std::string repository);

  struct Listing {
    std::string commit;  // what the revision meant: later requests name it, so that all are about the same files
    std::vector<HubFile> files;
  };
  // kNotFound, also for a private repository without a token; kInvalidArgument for one that is gated.
  Result<Listing> list(const std::string& revision, const CancelToken& cancel);

  // A small file, checked against what git or the hub says of it.
  Result<std::string> read(const std::string& commit, const HubFile& file, const CancelToken& cancel);
  std::unique_ptr<BlobSource> file(const std::string& commit, const HubFile& file) const;

 private:
  friend class HubFileSource;

  Result<HttpReply> get(const std::string& url, std::uint64_t max_bytes, const CancelToken& cancel) const;
  std::string file_url(const std::string& commit, const std::string& path) const;
  Status refusal(const HttpReply& reply, const std::string& what) const;

  const HttpClient& http_;
  std::string base_url_;
  std::string repository_;
  std::string authorization_;
};

// What git calls a file of these bytes: 40 hexadecimal digits.
std::string git_blob_of(std::string_view bytes);

}  // namespace mlxr
