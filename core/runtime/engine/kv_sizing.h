#pragma once
// How large an engine's KV pool is and how it is cut into groups, from the model and the options alone.

#include "core/runtime/engine/engine.h"

namespace mlxr {

struct KvSizing {
  std::int64_t context = 0;  // tokens of a sequence at most
  KvLayout layout;
  PagedKvOptions paging;
};

Result<KvSizing> size_kv(const LoadedModel& model, const EngineOptions& options);

}  // namespace mlxr
