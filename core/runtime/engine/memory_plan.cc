#include "core/runtime/engine/memory_plan.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include <fmt/core.h>

#include "core/backend/sizing_backend.h"
#include "core/runtime/engine/kv_sizing.h"
#include "core/runtime/step_runner.h"

namespace mlxr {
namespace {

// Activations of a product in 8 bits with their scales and sums: ActivationGroup of core/kernels/cpu.
constexpr double kQuantizedBytesPerElement = 1.5;
// A token's spelling, its entries in maps both ways and its merge: measured on vocabularies of 8k to 150k.
constexpr std::uint64_t kTokenizerBytesPerToken = 340;

// Runs the largest step that the scheduler may plan: one new token of every sequence but one, the rest prefill.
Result<std::uint64_t> workspace(SizingBackend& backend, const Model& model, const EngineOptions& options,
                                std::int64_t max_step_tokens) {
  const std::int64_t sequences = std::min(options.max_sequences, max_step_tokens);
  const std::int64_t chunk = max_step_tokens - (sequences - 1);
  const std::int64_t blocks = (chunk + options.block_tokens - 1) / options.block_tokens + sequences;
  PagedKvOptions paging{.groups = {},
                        .block_tokens = options.block_tokens,
                        .max_length = blocks * options.block_tokens,
                        .max_sequences = sequences};
  KvLayout layout{.layers = model.kv_layers(), .num_blocks = {}, .block_tokens = options.block_tokens};
  for (std::size_t group = 0; group < model.kv_windows().size(); ++group) {
    paging.groups.push_back({.num_blocks = blocks});
    layout.num_blocks.push_back(blocks);
  }
  PagedKv cache(paging);
  MLXR_ASSIGN_OR_RETURN(const std::unique_ptr<KvStorage> storage, backend.make_kv_storage(layout));
  StepRunner runner(model, backend, cache, *storage);
  const std::vector<std::int32_t> tokens(static_cast<std::size_t>(chunk), 0);
  std::vector<SequencePiece> pieces;
  for (std::int64_t s = 0; s < sequences; ++s) {
    MLXR_ASSIGN_OR_RETURN(const SequenceId sequence, cache.open());
    pieces.push_back({sequence, std::span(tokens).first(s == 0 ? tokens.size() : 1), RowsWanted::kLast});
  }
  StepRows rows;
  MLXR_RETURN_IF_ERROR(runner.run(pieces, rows));
  const auto scratch =
      static_cast<std::uint64_t>(kQuantizedBytesPerElement * static_cast<double>(backend.largest_input()));
  return backend.workspace_bytes() + scratch + rows.logits.size() * sizeof(float);
}

std::string gib(std::uint64_t bytes) {
  const double mib = static_cast<double>(bytes) / (1024.0 * 1024.0);
  return mib < 1024.0 ? fmt::format("{:.1f} MiB", mib) : fmt::format("{:.2f} GiB", mib / 1024.0);
}

}  // namespace

Result<MemoryPlan> plan_memory(const std::string& path, const ModelOptions& model_options, const EngineOptions& engine,
                               std::int64_t max_step_tokens) {
  MLXR_RETURN_IF_ERROR(engine.validate());
  SizingBackend* sizing = nullptr;
  ModelOptions options = model_options;
  options.backend = "reference";
  options.own_cache = false;
  options.tokenizer = false;
  options.decorate = [&sizing](Backend& /*inner*/) {
    auto made = std::make_unique<SizingBackend>();
    sizing = made.get();
    return made;
  };
  MLXR_ASSIGN_OR_RETURN(const auto model, LoadedModel::open(path, options));
  MLXR_ASSIGN_OR_RETURN(const KvSizing kv, size_kv(*model, engine));
  MemoryPlan plan;
  plan.weight_bytes = model->weight_bytes();
  plan.kv_bytes = kv.layout.bytes();
  plan.swap_bytes =
      static_cast<std::uint64_t>(kv.paging.swap_blocks * engine.block_tokens) * kv.layout.bytes_per_token();
  MLXR_ASSIGN_OR_RETURN(plan.workspace_bytes, workspace(*sizing, model->model(), engine, max_step_tokens));
  if (engine.speculate && !engine.draft_path.empty()) {
    EngineOptions draft_options = engine;
    draft_options.draft_path.clear();
    draft_options.context = kv.context;
    draft_options.kv_tokens = kv.layout.num_blocks[0] * engine.block_tokens;
    MLXR_ASSIGN_OR_RETURN(const MemoryPlan draft,
                          plan_memory(engine.draft_path, model_options, draft_options, max_step_tokens));
    plan.draft_bytes = draft.weight_bytes + draft.kv_bytes;
    plan.tokenizer_bytes += draft.tokenizer_bytes;
  }
  if (model_options.tokenizer) {
    plan.tokenizer_bytes += static_cast<std::uint64_t>(model->model().config().vocab_size) * kTokenizerBytesPerToken;
  }
  return plan;
}

std::optional<std::uint64_t> resident_bytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr) return std::nullopt;
  unsigned long long total = 0;
  unsigned long long resident = 0;
  const int read = std::fscanf(file, "%llu %llu", &total, &resident);
  std::fclose(file);
  if (read != 2) return std::nullopt;
  return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

std::string describe(const MemoryPlan& plan) {
  std::string text = fmt::format("{} = {} weights + {} KV + {} workspace", gib(plan.total()), gib(plan.weight_bytes),
                                 gib(plan.kv_bytes), gib(plan.workspace_bytes));
  if (plan.draft_bytes > 0) text += fmt::format(" + {} draft model", gib(plan.draft_bytes));
  if (plan.swap_bytes > 0) text += fmt::format(" + {} swap", gib(plan.swap_bytes));
  if (plan.tokenizer_bytes > 0) text += fmt::format(" + {} tokenizer", gib(plan.tokenizer_bytes));
  return text;
}

}  // namespace mlxr
