#pragma once
// What all transfers of a process share. Everything in it may be used from any thread.

#include <memory>
#include <string>
#include <utility>

#include "daemon/registry/blob_store.h"
#include "daemon/registry/manifest_store.h"
#include "daemon/registry/transfer/connection_budget.h"
#include "daemon/registry/transfer/registry_auth.h"
#include "daemon/registry/transfer/shared_downloads.h"
#include "daemon/registry/transfer/transfers.h"

namespace mlxr {

struct TransferResources {
  TransferResources(TransferSettings transfer_settings, std::unique_ptr<BlobStore> blob_store)
      : settings(std::move(transfer_settings)),
        blobs(std::move(blob_store)),
        manifests(settings.models_dir),
        budget(settings.max_transfer_streams) {}

  const TransferSettings settings;
  const std::unique_ptr<BlobStore> blobs;
  ManifestStore manifests;
  ConnectionBudget budget;
  TokenCache tokens = {};
  SharedDownloads downloads = {};  // last: its threads use the rest
};

// How requests of one transfer are sent.
HttpSettings http_settings(const TransferSettings& settings, const TransferOptions& options);

// One transfer, from its name to its last line. Runs on a thread of its own.
struct TransferJob {
  TransferResources& resources;
  std::string name;
  TransferOptions options;
  const CancelToken& cancel;
  TransferSink sink;  // one call at a time is the job's own concern
};
Status run_pull(const TransferJob& job);
Status run_push(const TransferJob& job);

}  // namespace mlxr
