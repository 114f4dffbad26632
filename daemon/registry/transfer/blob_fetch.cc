#include "daemon/registry/transfer/blob_fetch.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>
#include <utility>

#include <fmt/core.h>

#include "daemon/registry/digest.h"

namespace mlxr {
namespace {

constexpr std::size_t kAtOnce = 4;

class BlobFetch {
 public:
  BlobFetch(const TransferJob& job, std::shared_ptr<const HttpClient> http, const std::vector<WantedBlob>& blobs)
      : job_(job), http_(std::move(http)), blobs_(blobs) {}

  Status run() {
    const std::size_t num_threads = std::min(kAtOnce, blobs_.size());
    std::atomic<std::size_t> num_ended{0};
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < num_threads; ++i) {
      threads.emplace_back([&] {
        work();
        ++num_ended;
      });
    }
    // A cancel of the transfer, and the first error, stop the blobs beside it.
    while (num_ended < num_threads) {
      if (!job_.cancel.wait_for(std::chrono::milliseconds(20))) stop_.cancel();
      if (stop_.cancelled()) break;
    }
    for (std::thread& thread : threads)
      thread.join();
    return std::move(first_error_);
  }

 private:
  void work() {
    while (!stop_.cancelled()) {
      const std::size_t index = next_++;
      if (index >= blobs_.size()) return;
      Status status = fetch(blobs_[index]);
      if (status.ok()) continue;
      const std::lock_guard lock(mutex_);
      if (first_error_.ok()) first_error_ = std::move(status);
      stop_.cancel();
    }
  }

  Status fetch(const WantedBlob& blob) {
    // A transfer that joins a download knows nothing of how it was begun; what it needs lives with it.
    auto work = [&resources = job_.resources, http = http_, blob](const SharedDownloads::Run& run) {
      DownloadState state;
      return download_blob({.spec = blob.spec,
                            .store = *resources.blobs,
                            .source = *blob.source,
                            .budget = resources.budget,
                            .settings = resources.settings,
                            .http = http->settings(),
                            .cancel = run.cancel,
                            .on_progress =
                                [&](std::uint64_t done) {
                                  state.completed = done;
                                  run.report(state);
                                },
                            .on_verifying =
                                [&] {
                                  state.verifying = true;
                                  run.report(state);
                                }});
    };
    std::optional<std::uint64_t> last;
    return job_.resources.downloads.wait_for(blob.spec.digest, work, stop_, job_.resources.settings.event_interval,
                                             [&](const DownloadState& state) {
                                               if (last == state.completed) return;
                                               last = state.completed;
                                               const std::lock_guard lock(sink_mutex_);
                                               job_.sink({.status = "pulling " + short_digest(blob.spec.digest),
                                                          .digest = blob.spec.digest,
                                                          .total = blob.spec.size,
                                                          .completed = state.completed});
                                             });
  }

  const TransferJob& job_;
  std::shared_ptr<const HttpClient> http_;
  const std::vector<WantedBlob>& blobs_;
  CancelToken stop_ = {};
  std::atomic<std::size_t> next_{0};
  std::mutex mutex_ = {};
  Status first_error_ = {};
  std::mutex sink_mutex_ = {};
};

}  // namespace

Status fetch_blobs(const TransferJob& job, const std::shared_ptr<const HttpClient>& http,
                   const std::vector<WantedBlob>& blobs) {
  BlobFetch fetch(job, http, blobs);
  MLXR_RETURN_IF_ERROR(fetch.run());
  return job.cancel.cancelled() ? cancelled("cancelled") : Status();
}

}  // namespace mlxr
