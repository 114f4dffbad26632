#include "daemon/server/service_settings.h"

namespace mlxr::server {
namespace {

SchedulerOptions scheduler_options(const Settings& settings) {
  SchedulerOptions options;
  options.max_step_tokens = settings.max_batch_tokens;
  options.max_running = settings.max_sequences;
  options.target_latency_ms = settings.target_latency_ms;
  options.prefill_latency_ms = settings.prefill_latency_ms;
  options.max_queued_requests = settings.max_queue;
  options.max_queued_per_caller = settings.max_queue_per_key;
  options.prompt_token_cost = settings.prompt_token_cost;
  options.generated_token_cost = settings.generated_token_cost;
  options.caller_weights = settings.fair_weights;
  return options;
}

EngineOptions engine_options(const Settings& settings) {
  EngineOptions options;
  options.context = settings.context_length;
  options.kv_tokens = settings.kv_tokens;
  options.block_tokens = settings.block_tokens;
  options.kv_type = settings.kv_type;
  options.max_sequences = settings.max_sequences;
  options.swap_tokens = settings.swap_tokens;
  options.prefault = settings.prefault;
  options.speculate = settings.enable_speculative;
  options.max_draft_tokens = settings.max_draft_tokens;
  options.keep_prefixes = settings.kv_persistence;
  options.store_folder = settings.kv_persistence_folder;
  options.store_max_bytes = settings.kv_persistence_max_bytes;
  options.store_key_file = settings.kv_store_key_file;
  return options;
}

}  // namespace

Result<ServiceDependencies> service_dependencies(const Settings& settings, Catalog& catalog) {
  ServiceDependencies dependencies;
  dependencies.pool.memory_budget = settings.memory_budget;
  dependencies.scheduler = scheduler_options(settings);
  dependencies.engine = engine_options(settings);
  dependencies.model.backend = settings.backend;
  dependencies.model.num_threads = static_cast<int>(settings.threads);
  dependencies.model.context = settings.context_length;
  dependencies.model.kv_type = settings.kv_type;
  dependencies.keep_alive = settings.keep_alive;
  dependencies.max_open_requests = static_cast<std::size_t>(settings.max_queue);
  if (!settings.draft_model.empty()) {
    Result<ModelRecord> draft = catalog.resolve(settings.draft_model);
    if (!draft.ok()) return draft.status().with_context("draft_model");
    dependencies.engine.draft_path = draft->path;
  }
  MLXR_RETURN_IF_ERROR(dependencies.scheduler.validate());
  MLXR_RETURN_IF_ERROR(dependencies.engine.validate());
  return dependencies;
}

}  // namespace mlxr::server
