#pragma once
// A flag that says "stop", which can be waited on. Any thread.

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace mlxr {

class CancelToken {
 public:
  void cancel() {
    {
      const std::lock_guard lock(mutex_);
      cancelled_ = true;
    }
    changed_.notify_all();
  }

  bool cancelled() const {
    const std::lock_guard lock(mutex_);
    return cancelled_;
  }

  // Sleeps; false when it was cancelled before the time was up.
  bool wait_for(std::chrono::milliseconds time) const {
    std::unique_lock lock(mutex_);
    return !changed_.wait_for(lock, time, [this] { return cancelled_; });
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  bool cancelled_ = false;
};

}  // namespace mlxr
