#include "daemon/service/model_loader.h"

#include <chrono>

namespace mlxr {

void ModelLoader::acquire(const std::string& name, const EngineSpec& spec, Waiter waiter) {
  std::unique_lock lock(mutex_);
  const auto under_way = loads_.find(name);
  if (under_way != loads_.end()) {
    const double fraction = under_way->second.fraction;
    const auto progress = waiter.progress;
    under_way->second.waiters.push_back(std::move(waiter));
    progress(fraction);
    return;
  }
  if (auto lease = pool_.try_acquire(name)) {
    lock.unlock();
    waiter.ready(std::move(*lease));
    return;
  }
  waiter.progress(0.0);
  loads_[name].waiters.push_back(std::move(waiter));
  lock.unlock();
  threads_.post([this, name, spec] { load(name, spec); });
}

void ModelLoader::tell_progress(const std::string& name, double fraction) {
  // Few and far between: a step of a hundredth at least.
  constexpr double kStep = 0.01;
  const std::lock_guard lock(mutex_);
  const auto found = loads_.find(name);
  if (found == loads_.end()) return;
  if (fraction < found->second.fraction + kStep && fraction < 1.0) return;
  if (fraction <= found->second.fraction) return;
  found->second.fraction = fraction;
  for (const Waiter& waiter : found->second.waiters)
    waiter.progress(fraction);
}

void ModelLoader::load(const std::string& name, EngineSpec spec) {
  spec.on_progress = [this, &name](double fraction) { tell_progress(name, fraction); };
  const auto start = std::chrono::steady_clock::now();
  Result<EnginePool::Lease> lease = pool_.acquire(name, spec);
  const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - start;
  if (lease.ok()) tell_progress(name, 1.0);
  if (loaded_) loaded_(name, taken.count(), lease.status());
  std::vector<Waiter> waiters;
  {
    const std::lock_guard lock(mutex_);
    waiters = std::move(loads_[name].waiters);
    loads_.erase(name);
  }
  for (Waiter& waiter : waiters) {
    if (!lease.ok()) {
      waiter.ready(lease.status());
    } else if (auto own = pool_.try_acquire(name)) {
      waiter.ready(std::move(*own));
    } else {
      waiter.ready(cancelled("the model was unloaded before the request began"));
    }
  }
}

}  // namespace mlxr
