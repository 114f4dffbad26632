#include "core/runtime/engine/engine_ledger.h"

#include <algorithm>

namespace mlxr {

EngineLedger::EngineLedger(PagedKv& cache, KvBytes& bytes, std::string model)
    : cache_(cache), bytes_(bytes), model_(std::move(model)) {}

Task* EngineLedger::find(RequestId request) const {
  const auto found = tasks_.find(request);
  return found == tasks_.end() ? nullptr : found->second;
}

Task& EngineLedger::at(RequestId request) const {
  Task* task = find(request);
  MLXR_CHECK(task != nullptr, "the scheduler asks about requests that it was given");
  return *task;
}

void EngineLedger::remove(Task& task) {
  if (task.sequence) cache_.close(*task.sequence);
  task.sequence.reset();
  tasks_.erase(task.id());
}

Status EngineLedger::take_error() {
  return std::exchange(error_, {});
}

void EngineLedger::move_bytes() {
  const std::vector<KvCopy> copies = cache_.take_copies();
  Status status = bytes_.apply(copies);
  if (error_.ok()) error_ = std::move(status);
}

// Of the groups the one that is scarcest.
std::int64_t EngineLedger::free_blocks() const {
  std::int64_t fewest = cache_.free_blocks(0);
  for (int group = 1; group < cache_.num_groups(); ++group)
    fewest = std::min(fewest, cache_.free_blocks(group));
  return fewest;
}

std::int64_t EngineLedger::blocks_for(std::int64_t tokens) const {
  return (tokens + cache_.block_tokens() - 1) / cache_.block_tokens();
}

// A sequence with the prompt of another choice of the same answer, without its last token: blocks are shared, and the
// one at the end is copied when either writes to it.
std::optional<SequenceId> EngineLedger::fork_sibling(const Task& task) {
  const std::int64_t wanted = task.num_prompt_tokens() - 1;
  if (static_cast<std::int64_t>(task.tokens().size()) != wanted + 1 || wanted == 0) return std::nullopt;
  for (const std::unique_ptr<Task>& other : task.job().tasks()) {
    if (other.get() == &task || !other->sequence || cache_.swapped(*other->sequence)) continue;
    if (cache_.committed(*other->sequence) < wanted) continue;
    if (cache_.shortest_truncation(*other->sequence) > wanted) continue;
    const Result<SequenceId> forked = cache_.fork(*other->sequence);
    if (!forked.ok()) return std::nullopt;
    cache_.truncate(*forked, wanted);
    return *forked;
  }
  return std::nullopt;
}

std::optional<std::int64_t> EngineLedger::open(RequestId request) {
  Task& task = at(request);
  MLXR_CHECK(!task.sequence, "a request is opened once");
  if (task.may_reuse_prefix()) task.sequence = fork_sibling(task);
  if (!task.sequence) {
    const Result<SequenceId> opened = cache_.open(make_prefix_scope(
        {.model = model_, .adapter = {}, .images = {}, .caller_salt = task.job().origin().cache_salt}));
    if (!opened.ok()) return std::nullopt;
    task.sequence = *opened;
    if (task.may_reuse_prefix()) {
      cache_.attach_prefix(*task.sequence, task.tokens());
      move_bytes();
      bytes_.restore(cache_, *task.sequence, task.tokens());
    }
  }
  move_bytes();
  return cache_.committed(*task.sequence);
}

std::int64_t EngineLedger::context(RequestId request) const {
  const Task& task = at(request);
  return task.sequence ? cache_.committed(*task.sequence) : 0;
}

bool EngineLedger::reserve(RequestId request, std::int64_t tokens) {
  const bool reserved = cache_.reserve(*at(request).sequence, tokens).ok();
  move_bytes();
  return reserved;
}

void EngineLedger::release(RequestId request) {
  Task& task = at(request);
  if (task.sequence) cache_.close(*task.sequence);
  task.sequence.reset();
}

std::optional<std::uint64_t> EngineLedger::swap_bytes(RequestId request) const {
  const Task& task = at(request);
  if (!task.sequence || !cache_.can_swap_out(*task.sequence)) return std::nullopt;
  return bytes_.bytes_of(cache_, *task.sequence);
}

bool EngineLedger::swap_out(RequestId request) {
  const bool done = cache_.swap_out(*at(request).sequence).ok();
  move_bytes();
  return done;
}

std::int64_t EngineLedger::swapped_blocks(RequestId request) const {
  const Task& task = at(request);
  std::int64_t most = 0;
  for (int group = 0; task.sequence && group < cache_.num_groups(); ++group)
    most = std::max(most, cache_.num_held(*task.sequence, group));
  return most;
}

bool EngineLedger::swap_in(RequestId request) {
  const bool done = cache_.swap_in(*at(request).sequence).ok();
  move_bytes();
  return done;
}

}  // namespace mlxr
