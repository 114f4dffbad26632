#pragma once
// EnginePool: several models at once under one memory plan. A model is loaded when somebody asks for it, stays while it
// is used, and goes when its time is up or another needs the room; a pinned one stays.
//
// What is planned for all loaded models never exceeds the budget. When a new one does not fit, those that are idle and
// not pinned go, least recently used first; when that is not enough the new one is refused, with the figures.
//
// Threads: all calls from any thread. A load runs on the caller's thread; others who ask for the same model wait for
// it. One thread of the pool's own unloads what has expired.

#include <chrono>
#include <condition_variable>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/runtime/engine/engine.h"
#include "core/runtime/engine/memory_plan.h"

namespace mlxr {

// All that a load needs. Two specs of one name must be equal: the first decides.
struct EngineSpec {
  std::string path;  // as resolve_model gives it
  ModelOptions model = {};
  EngineOptions engine = {};
  std::int64_t max_step_tokens = 2048;  // of the scheduler, for the memory plan
  std::function<Result<std::unique_ptr<Scheduler>>()> make_scheduler = {};
  // How long it stays after its last use; negative: until unloaded.
  std::chrono::milliseconds keep_alive{std::chrono::minutes(5)};
  // How long it waits for models in use to become idle, when it fits without those that are not pinned.
  std::chrono::milliseconds room_wait{0};
  // The share of a load that is done, from 0 to 1, on the loading thread; not called when the engine is there already.
  std::function<void(double)> on_progress = {};
};

struct LoadedEngineInfo {
  std::string name;
  MemoryPlan plan;
  bool pinned = false;
  std::int64_t num_leases = 0;
  std::optional<TimePoint> expires;  // absent while it is used or for ever
  std::int64_t context = 0;
  std::int64_t num_open = 0;  // requests
  EngineStats stats = {};
};

class EnginePool {
 public:
  struct Options {
    std::uint64_t memory_budget = 0;  // bytes; 0: nine tenths of the machine's memory
  };
  explicit EnginePool(const Options& options);
  // Drains nothing: what is still leased fails.
  ~EnginePool();
  EnginePool(const EnginePool&) = delete;
  EnginePool& operator=(const EnginePool&) = delete;

  // Keeps the engine loaded while it is held. Must not outlive the pool.
  class Lease {
   public:
    Lease(EnginePool& pool, std::string name, std::shared_ptr<Engine> engine);
    ~Lease();
    Lease(Lease&& other) noexcept;
    Lease& operator=(Lease&&) = delete;
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Engine& operator*() const { return *engine_; }
    Engine* operator->() const { return engine_.get(); }
    // How long the engine stays after its last use, from now on.
    void set_keep_alive(std::chrono::milliseconds keep_alive);

   private:
    EnginePool* pool_;
    std::string name_;
    std::shared_ptr<Engine> engine_;
  };

  // The engine of `name`, loaded if need be. kResourceExhausted when the plan does not fit into what can be freed; the
  // loader's errors otherwise, for all who waited.
  Result<Lease> acquire(const std::string& name, const EngineSpec& spec);
  // nullopt when a load would be needed.
  std::optional<Lease> try_acquire(const std::string& name);
  // The engine, if it is loaded, without a lease: it may be unloaded meanwhile, and ends with the last pointer to it.
  std::shared_ptr<Engine> find_loaded(const std::string& name) const;
  // kNotFound when it is not loaded. What it is answering is finished first, in the background when it is leased.
  Status unload(const std::string& name);
  Status pin(const std::string& name, bool pinned);
  std::vector<LoadedEngineInfo> list() const;

  std::uint64_t memory_budget() const { return budget_; }
  std::uint64_t planned_bytes() const;

  // What acquire() would do for a model of so many bytes that is not loaded.
  struct Forecast {
    bool fits = false;
    std::vector<std::string> would_unload;
    std::uint64_t in_use_bytes = 0;  // planned for what is loaded
  };
  Forecast forecast(std::uint64_t bytes) const;

 private:
  struct Entry {
    std::string name;
    MemoryPlan plan;
    std::shared_ptr<Engine> engine;  // nullptr while it is being loaded
    std::chrono::milliseconds keep_alive{0};
    TimePoint last_use;
    std::int64_t num_leases = 0;
    bool pinned = false;
    bool doomed = false;  // unload when the last lease is gone
  };

  Entry* find(const std::string& name);
  // What may go, in the order in which it goes.
  std::vector<const Entry*> idle_locked() const;
  std::uint64_t planned_locked() const;
  // Takes out what has to go for `bytes` more; engines end outside of the lock. False: it cannot be done.
  bool make_room(std::uint64_t bytes, std::vector<std::shared_ptr<Engine>>& leaving);
  // What stays when nothing is in use.
  std::uint64_t fixed_bytes_locked() const;
  std::shared_ptr<Engine> take_out(const std::string& name);
  void release(const std::string& name);
  std::optional<TimePoint> next_expiry() const;
  void expire_idle();

  std::uint64_t budget_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;  // a load has ended, a lease has gone, the pool closes
  std::list<Entry> entries_;         // guarded by mutex_
  bool closing_ = false;             // guarded by mutex_
  std::thread janitor_;
};

}  // namespace mlxr
