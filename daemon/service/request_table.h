#pragma once
// RequestTable: the requests that are open, by id. Thread-safe.

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "daemon/service/model_service.h"

namespace mlxr {

class AnswerRun;

class RequestTable {
 public:
  explicit RequestTable(std::size_t max_open) : max_open_(max_open) {}

  // kInvalidArgument: the id is taken; kResourceExhausted: too many are open.
  Status add(const std::shared_ptr<AnswerRun>& run);
  void remove(const AnswerRun& run);
  std::shared_ptr<AnswerRun> find(const std::string& id) const;
  std::vector<std::shared_ptr<AnswerRun>> all() const;

 private:
  std::size_t max_open_;
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<AnswerRun>> runs_;  // guarded by mutex_
};

}  // namespace mlxr
