#pragma once
// What a model will take of the machine's memory, before any of it is taken: what the system will report once every
// weight was used, the KV pool is full and a step was as large as it may be.

#include <cstdint>
#include <string>

#include "core/runtime/engine/engine.h"

namespace mlxr {

struct MemoryPlan {
  std::uint64_t weight_bytes = 0;     // tensors of the file, mapped
  std::uint64_t kv_bytes = 0;         // the pool
  std::uint64_t workspace_bytes = 0;  // intermediates of the largest step, its logits, scratch of the kernels
  std::uint64_t draft_bytes = 0;      // the draft model's weights and KV pool
  std::uint64_t swap_bytes = 0;       // host memory for preempted sequences
  std::uint64_t tokenizer_bytes = 0;  // vocabulary, merges and what is derived from them

  std::uint64_t total() const {
    return weight_bytes + kv_bytes + workspace_bytes + draft_bytes + swap_bytes + tokenizer_bytes;
  }
};

// `max_step_tokens`: rows of a batch at most, as the scheduler is set. Reads metadata only; milliseconds.
Result<MemoryPlan> plan_memory(const std::string& path, const ModelOptions& model, const EngineOptions& engine,
                               std::int64_t max_step_tokens);

// Bytes of memory that the system says this process has in use (resident, mapped files included); nullopt where it does
// not say.
std::optional<std::uint64_t> resident_bytes();

// "1.2 GiB = 0.6 GiB weights + 0.5 GiB KV + 0.1 GiB workspace", for errors and logs.
std::string describe(const MemoryPlan& plan);

}  // namespace mlxr
