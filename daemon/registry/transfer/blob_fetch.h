#pragma once
// The blobs of one pull: some at a time, through the shared downloads, with lines of progress for each.

#include <memory>
#include <mutex>
#include <vector>

#include "core/base/status.h"
#include "daemon/registry/transfer/blob_download.h"
#include "daemon/registry/transfer/transfer_resources.h"

namespace mlxr {

struct WantedBlob {
  BlobSpec spec;
  std::shared_ptr<BlobSource> source;
};

// Returns when all blobs are there, or with the first error. `http` lives on with downloads that others wait for.
Status fetch_blobs(const TransferJob& job, const std::shared_ptr<const HttpClient>& http,
                   const std::vector<WantedBlob>& blobs);

}  // namespace mlxr
