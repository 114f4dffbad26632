#include "core/runtime/engine/kv_sizing.h"

namespace mlxr {

Result<KvSizing> size_kv(const LoadedModel& model, const EngineOptions& options) {
  KvSizing sizing;
  MLXR_ASSIGN_OR_RETURN(sizing.context, model.context_for(options.context));
  MLXR_ASSIGN_OR_RETURN(const KvType type, model.kv_type_for(options.kv_type));
  const std::int64_t kv_tokens = options.kv_tokens > 0 ? options.kv_tokens : kDefaultKvSequences * sizing.context;
  const auto blocks_of = [&](std::int64_t tokens) {
    return (tokens + options.block_tokens - 1) / options.block_tokens;
  };
  sizing.layout = {
      .layers = model.model().kv_layers(), .num_blocks = {}, .block_tokens = options.block_tokens, .type = type};
  sizing.paging = {.groups = {},
                   .block_tokens = options.block_tokens,
                   .max_length = sizing.context,
                   .max_sequences = options.max_sequences,
                   .swap_blocks = blocks_of(options.swap_tokens),
                   .report_published = options.keep_prefixes};
  for (const std::int64_t window : model.model().kv_windows()) {
    sizing.layout.num_blocks.push_back(blocks_of(kv_tokens));
    sizing.paging.groups.push_back({.num_blocks = blocks_of(kv_tokens), .window = window});
  }
  MLXR_RETURN_IF_ERROR(sizing.paging.validate());
  return sizing;
}

}  // namespace mlxr
