#include "daemon/registry/transfer/shared_downloads.h"

#include <algorithm>
#include <utility>

namespace mlxr {

// All but `cancel` under the mutex of the owner.
struct SharedDownloads::Download {
  int num_waiting = 0;
  bool ended = false;
  bool left = false;  // by all: it is being cancelled
  DownloadState state = {};
  Status status = {};
  CancelToken cancel = {};
  std::thread thread = {};
};

SharedDownloads::~SharedDownloads() {
  std::unique_lock lock(mutex_);
  for (const auto& [digest, download] : running_)
    download->cancel.cancel();
  ended_.wait(lock, [this] { return running_.empty(); });
  lock.unlock();
  reap();
}

void SharedDownloads::reap() {
  std::vector<std::thread> threads;
  {
    const std::lock_guard lock(mutex_);
    threads.swap(finished_);
  }
  for (std::thread& thread : threads)
    thread.join();
}

std::shared_ptr<SharedDownloads::Download> SharedDownloads::join(const std::string& digest, const Work& work,
                                                                 const CancelToken& cancel) {
  reap();
  std::unique_lock lock(mutex_);
  while (true) {
    const auto found = running_.find(digest);
    if (found == running_.end()) break;
    if (!found->second->left) {
      ++found->second->num_waiting;
      return found->second;
    }
    // The one before is on its way out and still has the file.
    ended_.wait_for(lock, std::chrono::milliseconds(50));
    if (cancel.cancelled()) return nullptr;
  }
  auto download = std::make_shared<Download>();
  download->num_waiting = 1;
  running_[digest] = download;
  download->thread = std::thread([this, digest, work, download] {
    Status status = work({.cancel = download->cancel, .report = [this, &download](const DownloadState& state) {
                            const std::lock_guard report_lock(mutex_);
                            download->state.completed = std::max(download->state.completed, state.completed);
                            download->state.verifying = state.verifying;
                          }});
    const std::lock_guard end_lock(mutex_);
    download->status = std::move(status);
    download->ended = true;
    finished_.push_back(std::move(download->thread));
    running_.erase(digest);
    ended_.notify_all();
  });
  return download;
}

void SharedDownloads::leave(const std::shared_ptr<Download>& download) {
  const std::lock_guard lock(mutex_);
  if (--download->num_waiting > 0 || download->ended) return;
  download->left = true;
  download->cancel.cancel();
}

Status SharedDownloads::wait_for(const std::string& digest, const Work& work, const CancelToken& cancel,
                                 std::chrono::milliseconds interval,
                                 const std::function<void(const DownloadState&)>& on_state) {
  const std::shared_ptr<Download> download = join(digest, work, cancel);
  if (download == nullptr) return cancelled("cancelled");
  const auto poll = std::clamp(interval, std::chrono::milliseconds(1), std::chrono::milliseconds(100));
  Status result;
  for (bool ended = false; !ended;) {
    DownloadState state;
    {
      std::unique_lock lock(mutex_);
      ended = ended_.wait_for(lock, poll, [&] { return download->ended; });
      state = download->state;
      if (ended) result = download->status;
    }
    on_state(state);
    if (!ended && cancel.cancelled()) {
      result = cancelled("cancelled");
      break;
    }
  }
  leave(download);
  return result;
}

}  // namespace mlxr
