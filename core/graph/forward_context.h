#pragma once
// ForwardContext: everything that one step of a model may look at. Built by core/runtime/step_runner, passed by
// reference; valid for that step only.

#include <cstdint>
#include <span>

#include "core/backend/kv_storage.h"
#include "core/backend/ops.h"

namespace mlxr {

// The batch rows of which a result is wanted.
struct RowChoice {
  std::int64_t count = 0;
  Tensor rows;  // i32 [count]; empty handle: all rows, or none when count is 0
};

struct ForwardContext {
  const Ops& ops;
  Tensor tokens;     // i32 [tokens]
  Tensor positions;  // i32 [tokens]: place of each token in its own sequence
  KvView kv;
  RowChoice logits;
  RowChoice hidden;
  // Host copies of kv.query_start [num_sequences + 1] and kv.context_len [num_sequences].
  std::span<const std::int32_t> query_start;
  std::span<const std::int32_t> context_len;

  std::int64_t num_tokens() const { return tokens.dim(0); }
};

}  // namespace mlxr
