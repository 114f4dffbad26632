#pragma once
// One blob from a source into the blob store: parts into MODELS/blobs/sha256-HEX-partial, their counts into
// sha256-HEX-parts, then the digest of the whole, then the blob. A later call goes on where an earlier one, or a killed
// process, ended. One process at a time works on a digest; others wait for it.

#include <cstdint>
#include <functional>
#include <string>

#include "core/base/status.h"
#include "daemon/registry/transfer/blob_source.h"
#include "daemon/registry/transfer/connection_budget.h"
#include "daemon/registry/transfer/transfers.h"

namespace mlxr {

class BlobStore;

struct BlobSpec {
  std::string digest;  // "sha256:..." in its one spelling
  std::uint64_t size = 0;
};

struct BlobDownload {
  BlobSpec spec;
  BlobStore& store;
  BlobSource& source;
  ConnectionBudget& budget;
  const TransferSettings& settings;
  const HttpSettings& http;
  const CancelToken& cancel;
  std::function<void(std::uint64_t done_bytes)> on_progress;  // may go back when a download starts over
  std::function<void()> on_verifying;                         // all bytes are there and are being read again
};

// Waits until the blob is there. Errors as Transfer::wait().
Status download_blob(const BlobDownload& download);

}  // namespace mlxr
