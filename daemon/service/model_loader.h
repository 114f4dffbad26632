#pragma once
// ModelLoader: brings requests and engines together. A load runs once for all who wait for it, on a thread of its own
// pool; who waits holds no thread.

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/runtime/engine/engine_pool.h"
#include "daemon/service/worker_pool.h"

namespace mlxr {

class ModelLoader {
 public:
  struct Waiter {
    std::function<void(double fraction)> progress;
    // On a loading thread, or at once.
    std::function<void(Result<EnginePool::Lease>)> ready;
  };
  using Loaded = std::function<void(const std::string& name, double load_ms, const Status&)>;

  // The pool must outlive it.
  ModelLoader(EnginePool& pool, Loaded loaded) : pool_(pool), loaded_(std::move(loaded)), threads_(kNumThreads) {}

  // The spec counts where a load is needed and none is under way.
  void acquire(const std::string& name, const EngineSpec& spec, Waiter waiter);
  // Waiters that are left are forgotten.
  void stop() { threads_.stop(); }

 private:
  static constexpr int kNumThreads = 4;
  struct Load {
    std::vector<Waiter> waiters;
    double fraction = 0.0;
  };

  void load(const std::string& name, EngineSpec spec);
  void tell_progress(const std::string& name, double fraction);

  EnginePool& pool_;
  Loaded loaded_;
  std::mutex mutex_;
  std::map<std::string, Load> loads_;  // under way; guarded by mutex_
  WorkerPool threads_;
};

}  // namespace mlxr
