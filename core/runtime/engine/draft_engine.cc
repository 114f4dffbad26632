#include "core/runtime/engine/draft_engine.h"

#include <algorithm>

namespace mlxr {

Result<std::unique_ptr<DraftEngine>> DraftEngine::open(LoadedModel& target, const DraftEngineOptions& options) {
  constexpr std::int64_t kBlockTokens = 32;
  std::unique_ptr<DraftEngine> engine(new DraftEngine);
  MLXR_ASSIGN_OR_RETURN(engine->model_, LoadedModel::open(options.path, {.own_cache = false,
                                                                         .tokenizer = target.tokenizer() != nullptr,
                                                                         .shared_backend = &target.backend()}));
  LoadedModel& draft = *engine->model_;
  if (target.tokenizer() != nullptr) {
    const Status same = check_draft_vocabulary(*target.tokenizer(), *draft.tokenizer());
    if (!same.ok()) return same.with_context(options.path);
  }
  MLXR_ASSIGN_OR_RETURN(const KvType type, draft.kv_type_for(options.kv_type));
  const std::int64_t num_blocks = (options.kv_tokens + kBlockTokens - 1) / kBlockTokens;
  PagedKvOptions paging{.groups = {},
                        .block_tokens = kBlockTokens,
                        .max_length = std::min(options.context, draft.model().config().context_length),
                        .max_sequences = options.max_sequences};
  KvLayout layout{.layers = draft.model().kv_layers(), .num_blocks = {}, .block_tokens = kBlockTokens, .type = type};
  for (const std::int64_t window : draft.model().kv_windows()) {
    layout.num_blocks.push_back(num_blocks);
    paging.groups.push_back({.num_blocks = num_blocks, .window = window});
  }
  MLXR_RETURN_IF_ERROR(paging.validate());
  MLXR_ASSIGN_OR_RETURN(engine->storage_, draft.backend().make_kv_storage(layout));
  engine->cache_ = std::make_unique<PagedKv>(std::move(paging));
  engine->runner_ = std::make_unique<StepRunner>(draft.model(), draft.backend(), *engine->cache_, *engine->storage_);
  engine->draft_ = std::make_unique<DraftModel>(*engine->cache_, *engine->runner_,
                                                DraftOptions{.vocab_size = draft.model().config().vocab_size,
                                                             .target_vocab = target.model().config().vocab_size});
  return engine;
}

}  // namespace mlxr
