#include "core/runtime/engine/draft_engine.h"

#include <algorithm>

#include "core/runtime/engine/kv_sizing.h"

namespace mlxr {

Result<std::unique_ptr<DraftEngine>> DraftEngine::open(LoadedModel& target, const DraftEngineOptions& options) {
  std::unique_ptr<DraftEngine> engine(new DraftEngine);
  MLXR_ASSIGN_OR_RETURN(engine->model_, LoadedModel::open(options.path, {.own_cache = false,
                                                                         .tokenizer = target.tokenizer() != nullptr,
                                                                         .shared_backend = &target.backend()}));
  LoadedModel& draft = *engine->model_;
  if (target.tokenizer() != nullptr) {
    const Status same = check_draft_vocabulary(*target.tokenizer(), *draft.tokenizer());
    if (!same.ok()) return same.with_context(options.path);
  }
  EngineOptions sizes;
  sizes.context = std::min(options.context, draft.model().config().context_length);
  sizes.kv_tokens = options.kv_tokens;
  sizes.kv_type = options.kv_type;
  sizes.max_sequences = options.max_sequences;
  sizes.keep_prefixes = false;
  MLXR_ASSIGN_OR_RETURN(KvSizing sizing, size_kv(draft, sizes));
  MLXR_ASSIGN_OR_RETURN(engine->storage_, draft.backend().make_kv_storage(sizing.layout));
  engine->cache_ = std::make_unique<PagedKv>(std::move(sizing.paging));
  engine->runner_ = std::make_unique<StepRunner>(draft.model(), draft.backend(), *engine->cache_, *engine->storage_);
  engine->draft_ = std::make_unique<DraftModel>(*engine->cache_, *engine->runner_,
                                                DraftOptions{.vocab_size = draft.model().config().vocab_size,
                                                             .target_vocab = target.model().config().vocab_size});
  return engine;
}

}  // namespace mlxr
