#pragma once
// DraftEngine: a draft model with KV memory of its own, beside the model of an engine and on its thread.

#include <memory>
#include <string>

#include "core/runtime/kv/paged_kv.h"
#include "core/runtime/loaded_model.h"
#include "core/runtime/spec/draft_model.h"

namespace mlxr {

struct DraftEngineOptions {
  std::string path;
  std::int64_t context = 0;  // of the target's sequences
  std::int64_t max_sequences = 1;
  std::int64_t kv_tokens = 0;
  std::string kv_type = "auto";
};

class DraftEngine {
 public:
  // `target` must outlive it; its backend computes for both. Fails when the two vocabularies differ.
  static Result<std::unique_ptr<DraftEngine>> open(LoadedModel& target, const DraftEngineOptions& options);

  DraftModel& model() { return *draft_; }

 private:
  DraftEngine() = default;

  std::unique_ptr<LoadedModel> model_;
  std::unique_ptr<KvStorage> storage_;
  std::unique_ptr<PagedKv> cache_;
  std::unique_ptr<StepRunner> runner_;
  std::unique_ptr<DraftModel> draft_;
};

}  // namespace mlxr
