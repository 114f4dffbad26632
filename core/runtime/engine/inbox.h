#pragma once
// Inbox: what other threads tell an engine's thread. Streams keep it alive, so that a late cancel() finds something.

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <variant>
#include <vector>

#include "core/runtime/engine/engine.h"

namespace mlxr {

struct NewRequest {
  std::shared_ptr<ResponseStream> stream;
  std::variant<std::shared_ptr<const GenerateRequest>, EmbedRequest> request;
  TimePoint submitted;
};

struct Engine::Inbox {
  std::mutex mutex;
  std::condition_variable wake;      // the engine thread waits here
  std::condition_variable idle;      // drain() waits here
  std::vector<NewRequest> requests;  // guarded by mutex, like all below
  std::size_t max_requests = 0;
  std::int64_t num_open = 0;  // submitted and not over
  bool woken = false;
  bool draining = false;
  bool stopping = false;
  EngineStats stats;  // as of the last step

  void notify() {
    {
      const std::lock_guard lock(mutex);
      woken = true;
    }
    wake.notify_one();
  }
};

}  // namespace mlxr
