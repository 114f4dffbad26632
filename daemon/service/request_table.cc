#include "daemon/service/request_table.h"

#include <fmt/core.h>

#include "daemon/service/answer_run.h"

namespace mlxr {

Status RequestTable::add(const std::shared_ptr<AnswerRun>& run) {
  const std::lock_guard lock(mutex_);
  if (runs_.size() >= max_open_) {
    return resource_exhausted(fmt::format("{} requests are open, which is the limit; try again later", runs_.size()));
  }
  if (!runs_.emplace(run->id(), run).second) {
    return invalid_argument(fmt::format("request_id: \"{}\" is that of an open request", run->id()));
  }
  return {};
}

void RequestTable::remove(const AnswerRun& run) {
  std::shared_ptr<AnswerRun> last;  // goes outside of the lock
  const std::lock_guard lock(mutex_);
  const auto found = runs_.find(run.id());
  if (found == runs_.end() || found->second.get() != &run) return;
  last = std::move(found->second);
  runs_.erase(found);
}

std::shared_ptr<AnswerRun> RequestTable::find(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const auto found = runs_.find(id);
  return found == runs_.end() ? nullptr : found->second;
}

std::vector<std::shared_ptr<AnswerRun>> RequestTable::all() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<AnswerRun>> runs;
  for (const auto& [id, run] : runs_)
    runs.push_back(run);
  return runs;
}

}  // namespace mlxr
