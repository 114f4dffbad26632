#pragma once
// EngineLedger: the scheduler's view of the paged cache. Opens, closes and swaps the sequences of tasks.

#include <unordered_map>

#include "core/runtime/engine/kv_bytes.h"
#include "core/runtime/engine/kv_ledger.h"
#include "core/runtime/engine/task.h"

namespace mlxr {

class EngineLedger : public KvLedger {
 public:
  // Both must outlive it. `model` names the weights and the way K/V are stored.
  EngineLedger(PagedKv& cache, KvBytes& bytes, std::string model);

  void add(Task& task) { tasks_[task.id()] = &task; }
  // Gives up what the task still holds.
  void remove(Task& task);
  Task* find(RequestId request) const;
  // The first error of moving bytes since the last call.
  Status take_error();

  std::int64_t total_blocks() const override { return cache_.total_blocks(); }
  std::int64_t free_blocks() const override;
  std::int64_t blocks_for(std::int64_t tokens) const override;
  std::optional<std::int64_t> open(RequestId request) override;
  std::int64_t context(RequestId request) const override;
  bool reserve(RequestId request, std::int64_t tokens) override;
  void release(RequestId request) override;
  std::optional<std::uint64_t> swap_bytes(RequestId request) const override;
  bool swap_out(RequestId request) override;
  std::int64_t swapped_blocks(RequestId request) const override;
  bool swap_in(RequestId request) override;

 private:
  Task& at(RequestId request) const;
  std::optional<SequenceId> fork_sibling(const Task& task);
  // Executes the copies that the last call of the cache asked for.
  void move_bytes();

  PagedKv& cache_;
  KvBytes& bytes_;
  std::string model_;
  std::unordered_map<RequestId, Task*> tasks_;
  Status error_;
};

}  // namespace mlxr
