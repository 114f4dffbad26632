#include "core/runtime/engine/engine_pool.h"

#include <unistd.h>

#include <algorithm>

#include <fmt/core.h>

#include "core/base/check.h"

namespace mlxr {
namespace {

using Clock = std::chrono::steady_clock;

std::uint64_t machine_memory() {
  return static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

Result<std::unique_ptr<Engine>> load(const EngineSpec& spec) {
  // Weights are prepared first and then read, which takes about as long.
  constexpr double kPrepared = 0.5;
  ModelOptions options = spec.model;
  options.own_cache = false;
  EngineOptions engine_options = spec.engine;
  if (spec.on_progress) {
    spec.on_progress(0.0);
    engine_options.on_progress = [&spec](double share) { spec.on_progress(kPrepared + (1.0 - kPrepared) * share); };
  }
  MLXR_ASSIGN_OR_RETURN(auto model, LoadedModel::open(spec.path, options));
  if (spec.on_progress) spec.on_progress(kPrepared);
  MLXR_ASSIGN_OR_RETURN(auto scheduler, spec.make_scheduler());
  MLXR_ASSIGN_OR_RETURN(auto engine, Engine::start(std::move(model), std::move(scheduler), engine_options));
  if (spec.on_progress) spec.on_progress(1.0);
  return engine;
}

}  // namespace

EnginePool::EnginePool(const Options& options)
    : budget_(options.memory_budget > 0 ? options.memory_budget : machine_memory() / 10 * 9),
      janitor_([this] { expire_idle(); }) {}

EnginePool::~EnginePool() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  changed_.notify_all();
  janitor_.join();
}

EnginePool::Lease::Lease(EnginePool& pool, std::string name, std::shared_ptr<Engine> engine)
    : pool_(&pool), name_(std::move(name)), engine_(std::move(engine)) {}

EnginePool::Lease::Lease(Lease&& other) noexcept
    : pool_(std::exchange(other.pool_, nullptr)), name_(std::move(other.name_)), engine_(std::move(other.engine_)) {}

EnginePool::Lease::~Lease() {
  if (pool_ == nullptr) return;
  engine_.reset();
  pool_->release(name_);
}

void EnginePool::Lease::set_keep_alive(std::chrono::milliseconds keep_alive) {
  const std::lock_guard lock(pool_->mutex_);
  if (Entry* entry = pool_->find(name_)) entry->keep_alive = keep_alive;
}

EnginePool::Entry* EnginePool::find(const std::string& name) {
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.name == name; });
  return found == entries_.end() ? nullptr : &*found;
}

std::uint64_t EnginePool::planned_locked() const {
  std::uint64_t total = 0;
  for (const Entry& entry : entries_)
    total += entry.plan.total();
  return total;
}

std::uint64_t EnginePool::planned_bytes() const {
  const std::lock_guard lock(mutex_);
  return planned_locked();
}

std::shared_ptr<Engine> EnginePool::take_out(const std::string& name) {
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.name == name; });
  MLXR_CHECK(found != entries_.end(), "an entry is taken out once");
  std::shared_ptr<Engine> engine = std::move(found->engine);
  entries_.erase(found);
  return engine;
}

std::vector<const EnginePool::Entry*> EnginePool::idle_locked() const {
  std::vector<const Entry*> idle;
  for (const Entry& entry : entries_) {
    if (entry.num_leases == 0 && !entry.pinned && entry.engine != nullptr) idle.push_back(&entry);
  }
  std::sort(idle.begin(), idle.end(), [](const Entry* a, const Entry* b) { return a->last_use < b->last_use; });
  return idle;
}

std::uint64_t EnginePool::fixed_bytes_locked() const {
  std::uint64_t total = 0;
  for (const Entry& entry : entries_) {
    if (entry.pinned || entry.engine == nullptr) total += entry.plan.total();
  }
  return total;
}

EnginePool::Forecast EnginePool::forecast(std::uint64_t bytes) const {
  const std::lock_guard lock(mutex_);
  Forecast forecast{.fits = false, .would_unload = {}, .in_use_bytes = planned_locked()};
  std::uint64_t left = forecast.in_use_bytes;
  for (const Entry* entry : idle_locked()) {
    if (left + bytes <= budget_) break;
    left -= entry->plan.total();
    forecast.would_unload.push_back(entry->name);
  }
  forecast.fits = left + bytes <= budget_;
  if (!forecast.fits) forecast.would_unload.clear();
  return forecast;
}

bool EnginePool::make_room(std::uint64_t bytes, std::vector<std::shared_ptr<Engine>>& leaving) {
  const std::vector<const Entry*> idle = idle_locked();
  std::uint64_t freeable = 0;
  for (const Entry* entry : idle)
    freeable += entry->plan.total();
  if (planned_locked() - freeable + bytes > budget_) return false;
  for (const Entry* entry : idle) {
    if (planned_locked() + bytes <= budget_) break;
    leaving.push_back(take_out(std::string(entry->name)));
  }
  return true;
}

std::optional<EnginePool::Lease> EnginePool::try_acquire(const std::string& name) {
  const std::lock_guard lock(mutex_);
  Entry* entry = find(name);
  if (entry == nullptr || entry->engine == nullptr || entry->doomed) return std::nullopt;
  ++entry->num_leases;
  return Lease(*this, name, entry->engine);
}

std::shared_ptr<Engine> EnginePool::find_loaded(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.name == name; });
  return found == entries_.end() ? nullptr : found->engine;
}

Result<EnginePool::Lease> EnginePool::acquire(const std::string& name, const EngineSpec& spec) {
  std::unique_lock lock(mutex_);
  while (Entry* entry = find(name)) {
    if (entry->engine != nullptr && !entry->doomed) {
      ++entry->num_leases;
      return Lease(*this, name, entry->engine);
    }
    changed_.wait(lock);  // loaded, failed or gone
  }
  if (closing_) return cancelled("no model is loaded any more: the pool is closing");
  // A place of its own, so that others wait for this load. Its plan counts from the moment it is known.
  entries_.push_back({.name = name, .plan = {}, .engine = nullptr, .last_use = Clock::now(), .num_leases = 1});
  lock.unlock();

  std::vector<std::shared_ptr<Engine>> leaving;
  Result<std::unique_ptr<Engine>> engine = [&]() -> Result<std::unique_ptr<Engine>> {
    MLXR_ASSIGN_OR_RETURN(const MemoryPlan plan, plan_memory(spec.path, spec.model, spec.engine, spec.max_step_tokens));
    {
      std::unique_lock relock(mutex_);
      const TimePoint deadline = Clock::now() + spec.room_wait;
      bool room = make_room(plan.total(), leaving);
      while (!room && !closing_ && fixed_bytes_locked() + plan.total() <= budget_ &&
             changed_.wait_until(relock, deadline) == std::cv_status::no_timeout) {
        room = make_room(plan.total(), leaving);
      }
      if (!room) {
        return resource_exhausted(fmt::format("{} needs {}; {} bytes of {} are planned for models that are in use",
                                              name, describe(plan), planned_locked(), budget_));
      }
      find(name)->plan = plan;
    }
    leaving.clear();  // their memory is free before the new one takes its own
    return load(spec);
  }();

  lock.lock();
  if (!engine.ok()) {
    take_out(name);
    changed_.notify_all();
    return engine.status();
  }
  Entry* entry = find(name);
  entry->engine = std::move(engine).value();
  entry->keep_alive = spec.keep_alive;
  changed_.notify_all();
  return Lease(*this, name, entry->engine);
}

void EnginePool::release(const std::string& name) {
  {
    const std::lock_guard lock(mutex_);
    Entry* entry = find(name);
    MLXR_CHECK(entry != nullptr && entry->num_leases > 0, "a lease ends once");
    --entry->num_leases;
    entry->last_use = Clock::now();
  }
  changed_.notify_all();
}

Status EnginePool::unload(const std::string& name) {
  {
    const std::lock_guard lock(mutex_);
    Entry* entry = find(name);
    if (entry == nullptr) return not_found("the model \"" + name + "\" is not loaded");
    entry->doomed = true;
  }
  changed_.notify_all();
  return {};
}

Status EnginePool::pin(const std::string& name, bool pinned) {
  {
    const std::lock_guard lock(mutex_);
    Entry* entry = find(name);
    if (entry == nullptr) return not_found("the model \"" + name + "\" is not loaded");
    entry->pinned = pinned;
    entry->last_use = Clock::now();
  }
  changed_.notify_all();
  return {};
}

std::vector<LoadedEngineInfo> EnginePool::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<LoadedEngineInfo> infos;
  for (const Entry& entry : entries_) {
    if (entry.engine == nullptr) continue;
    LoadedEngineInfo info{.name = entry.name,
                          .plan = entry.plan,
                          .pinned = entry.pinned,
                          .num_leases = entry.num_leases,
                          .expires = {},
                          .context = entry.engine->context(),
                          .num_open = entry.engine->num_open(),
                          .stats = entry.engine->stats()};
    if (entry.num_leases == 0 && !entry.pinned && entry.keep_alive.count() >= 0) {
      info.expires = entry.last_use + entry.keep_alive;
    }
    infos.push_back(std::move(info));
  }
  return infos;
}

// Of what is idle; a doomed one has expired already.
std::optional<TimePoint> EnginePool::next_expiry() const {
  std::optional<TimePoint> next;
  for (const Entry& entry : entries_) {
    if (entry.engine == nullptr || entry.num_leases > 0) continue;
    if (!entry.doomed && (entry.pinned || entry.keep_alive.count() < 0)) continue;
    const TimePoint at = entry.doomed ? TimePoint::min() : entry.last_use + entry.keep_alive;
    next = next ? std::min(*next, at) : at;
  }
  return next;
}

void EnginePool::expire_idle() {
  std::unique_lock lock(mutex_);
  while (!closing_) {
    const std::optional<TimePoint> next = next_expiry();
    if (!next) {
      changed_.wait(lock);
      continue;
    }
    if (*next > Clock::now()) {
      changed_.wait_until(lock, *next);
      continue;
    }
    const auto expired = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
      if (entry.engine == nullptr || entry.num_leases > 0) return false;
      if (entry.doomed) return true;
      return !entry.pinned && entry.keep_alive.count() >= 0 && entry.last_use + entry.keep_alive <= *next;
    });
    std::shared_ptr<Engine> engine = take_out(std::string(expired->name));
    lock.unlock();
    engine.reset();
    changed_.notify_all();
    lock.lock();
  }
}

}  // namespace mlxr
