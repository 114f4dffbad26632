#pragma once
// How many connections all downloads together may have. Any thread.

#include <atomic>

namespace mlxr {

class ConnectionBudget {
 public:
  explicit ConnectionBudget(int max_connections) : left_(max_connections) {}

  // Never waits.
  bool try_acquire() {
    int left = left_.load();
    while (left > 0) {
      if (left_.compare_exchange_weak(left, left - 1)) return true;
    }
    return false;
  }
  void release() { left_.fetch_add(1); }

 private:
  std::atomic<int> left_;
};

}  // namespace mlxr
