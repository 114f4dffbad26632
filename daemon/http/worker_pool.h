#pragma once
// WorkerPool: threads that run what may wait, first come first served.

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace mlxr::http {

class WorkerPool {
 public:
  // Threads start with the first work.
  explicit WorkerPool(int num_threads) : num_threads_(num_threads) {}
  ~WorkerPool() { stop(); }
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // From any thread. Dropped, unrun, after stop().
  void submit(std::function<void()> work);
  // Waits for what runs now; drops the rest.
  void stop();

 private:
  void run();

  const int num_threads_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> waiting_;
  std::vector<std::thread> threads_;
  bool stopped_ = false;
};

}  // namespace mlxr::http
