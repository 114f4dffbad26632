#pragma once
// Downloads by digest: whoever needs a blob that is on its way already waits for the same download. It is cancelled
// when the last one who waits leaves. Any thread.

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/base/status.h"
#include "daemon/registry/transfer/blob_download.h"

namespace mlxr {

// What those who wait are told.
struct DownloadState {
  std::uint64_t completed = 0;  // never goes back
  bool verifying = false;
};

class SharedDownloads {
 public:
  // Does one download: tells of its state through `report`, stops when `cancel` says so. Called on a thread of its own.
  struct Run {
    const CancelToken& cancel;
    std::function<void(const DownloadState&)> report;
  };
  using Work = std::function<Status(const Run&)>;

  SharedDownloads() = default;
  ~SharedDownloads();  // cancels and waits for all; nobody may be waiting
  SharedDownloads(const SharedDownloads&) = delete;
  SharedDownloads& operator=(const SharedDownloads&) = delete;

  // Starts `work`, or joins the download of that digest. Returns how it ended, or kCancelled when `cancel` was first.
  // `on_state` is called on this thread at `interval`, and once at the end.
  Status wait_for(const std::string& digest, const Work& work, const CancelToken& cancel,
                  std::chrono::milliseconds interval, const std::function<void(const DownloadState&)>& on_state);

 private:
  struct Download;

  std::shared_ptr<Download> join(const std::string& digest, const Work& work, const CancelToken& cancel);
  void leave(const std::shared_ptr<Download>& download);
  void reap();

  std::mutex mutex_;
  std::condition_variable ended_;
  std::map<std::string, std::shared_ptr<Download>> running_;
  std::vector<std::thread> finished_;
};

}  // namespace mlxr
