#include "daemon/telemetry/metrics.h"

#include <array>
#include <chrono>
#include <cmath>

#include "core/runtime/engine/engine.h"
#include "core/runtime/engine/memory_plan.h"

namespace mlxr {
namespace {

constexpr std::span<const double> kNoBuckets = {};
// The ends that vLLM's histograms have (vllm/v1/metrics/loggers.py), so that quantiles of both can be compared.
constexpr std::array kFirstTokenBuckets = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1,  0.25,  0.5,   0.75,
                                           1.0,   2.5,   5.0,  7.5,  10.0, 20.0, 40.0, 80.0, 160.0, 640.0, 2560.0};
constexpr std::array kTokenBuckets = {0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2,  0.3,  0.4, 0.5,
                                      0.75, 1.0,   2.5,  5.0,   7.5, 10.0, 20.0, 40.0, 80.0};
constexpr std::array kRequestBuckets = {0.3,  0.5,  0.8,  1.0,  1.5,   2.0,   2.5,   5.0,   10.0,   15.0,  20.0,
                                        30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 7680.0};
// 1, 2, 5 and their tens.
constexpr std::array kCountBuckets = {1.0,    2.0,    5.0,    10.0,    20.0,    50.0,    100.0,    200.0,    500.0,
                                      1000.0, 2000.0, 5000.0, 10000.0, 20000.0, 50000.0, 100000.0, 200000.0, 500000.0};
constexpr std::array kChoiceBuckets = {1.0, 2.0, 5.0, 10.0, 20.0};
constexpr std::array kHttpBuckets = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,  0.25,
                                     0.5,   1.0,    2.5,   5.0,  10.0,  30.0, 60.0, 300.0};

void observe_if_known(Histogram& histogram, double seconds) {
  if (seconds >= 0) histogram.observe(seconds);
}

double ratio(double part, double whole) {
  return whole > 0 ? part / whole : 0.0;
}

}  // namespace

// What an engine had counted when it was last looked at.
struct Metrics::EngineCounts {
  EngineStats seen;

  // What was added since; an engine that was loaded again begins at nothing.
  template <class Number>
  static double added(Number now, Number before) {
    return static_cast<double>(now >= before ? now - before : now);
  }
};

Metrics::Metrics()
    :
#define MLXR_METRIC(kind, member, name, labels, buckets, help) member(MetricInfo{name, labels, help, buckets}),
#include "daemon/telemetry/metrics.def"
#undef MLXR_METRIC
      engines_mutex_() {
  const auto now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch());
  start_time.with().set(std::floor(now.count()));
}

Metrics::~Metrics() = default;

void Metrics::observe_answer(const AnswerObservation& answer) {
  const std::string& model = answer.model;
  requests.with({answer.dialect, answer.result}).add();
  const std::string key = answer.key.empty() ? "local" : answer.key;
  key_requests.with({key, answer.result}).add();
  const auto computed = static_cast<double>(answer.prompt_tokens - answer.cached_tokens);
  const auto cached = static_cast<double>(answer.cached_tokens);
  const auto generated = static_cast<double>(answer.generated_tokens);
  key_tokens.with({key, "prompt"}).add(computed);
  key_tokens.with({key, "cached"}).add(cached);
  key_tokens.with({key, "generated"}).add(generated);
  key_service.with({key}).add(answer.service);
  if (answer.queue_seconds >= 0) key_queue_seconds.with({key}).add(answer.queue_seconds);
  if (model.empty()) return;  // it was refused before there was one

  prompt_tokens.with({model}).add(static_cast<double>(answer.prompt_tokens));
  generation_tokens.with({model}).add(generated);
  cached_tokens.with({model}).add(cached);
  reasoning_tokens.with({model}).add(static_cast<double>(answer.reasoning_tokens));
  llama_prompt_tokens.with().add(computed);
  llama_predicted_tokens.with().add(generated);
  if (answer.prefill_seconds >= 0) llama_prompt_seconds.with().add(answer.prefill_seconds);
  if (answer.decode_seconds >= 0) llama_predicted_seconds.with().add(answer.decode_seconds);
  llama_prompt_rate.with().set(ratio(llama_prompt_tokens.with().value(), llama_prompt_seconds.with().value()));
  llama_predicted_rate.with().set(ratio(llama_predicted_tokens.with().value(), llama_predicted_seconds.with().value()));

  if (answer.result != "ok") return;  // an answer that was broken off would make the times look good
  for (const std::string& reason : answer.finish_reasons)
    request_success.with({model, reason}).add();
  request_prompt_tokens.with({model}).observe(static_cast<double>(answer.prompt_tokens));
  request_generation_tokens.with({model}).observe(generated);
  request_params_n.with({model}).observe(static_cast<double>(answer.n));
  if (answer.max_tokens >= 0) request_params_max_tokens.with({model}).observe(static_cast<double>(answer.max_tokens));
  observe_if_known(time_to_first_token.with({model}), answer.first_token_seconds);
  observe_if_known(e2e_latency.with({model}), answer.total_seconds);
  observe_if_known(queue_time.with({model}), answer.queue_seconds);
  observe_if_known(prefill_time.with({model}), answer.prefill_seconds);
  observe_if_known(decode_time.with({model}), answer.decode_seconds);
  if (answer.prefill_seconds >= 0 && answer.decode_seconds >= 0) {
    inference_time.with({model}).observe(answer.prefill_seconds + answer.decode_seconds);
  }
  if (answer.decode_seconds >= 0 && answer.generated_tokens > 1) {
    time_per_output_token.with({model}).observe(answer.decode_seconds / (generated - 1.0));
  }
}

void Metrics::observe_http(const HttpObservation& exchange) {
  const std::string route(exchange.route);
  http_requests.with({std::string(exchange.method), route, std::to_string(exchange.status)}).add();
  http_time.with({route}).observe(exchange.seconds);
  http_sent.with().add(static_cast<double>(exchange.sent_bytes));
  if (exchange.cut) http_cut.with().add();
}

namespace {

void set_engine_gauges(Metrics& metrics, const Metrics::EngineReading& reading) {
  const std::string model(reading.model);
  const EngineStats& now = reading.stats;
  const auto as_double = [](auto count) { return static_cast<double>(count); };
  metrics.requests_running.with({model}).set(as_double(now.scheduler.running));
  metrics.requests_waiting.with({model}).set(as_double(now.scheduler.waiting));
  metrics.queued_prompt_tokens.with({model}).set(as_double(now.scheduler.waiting_prompt_tokens));
  const std::int64_t blocks = now.kv.used_blocks + now.kv.cached_blocks + now.kv.free_blocks;
  metrics.kv_usage.with({model}).set(ratio(as_double(now.kv.used_blocks), as_double(blocks)));
  metrics.kv_blocks.with({model, "used"}).set(as_double(now.kv.used_blocks));
  metrics.kv_blocks.with({model, "cached"}).set(as_double(now.kv.cached_blocks));
  metrics.kv_blocks.with({model, "free"}).set(as_double(now.kv.free_blocks));
  if (reading.block_tokens > 0) {
    metrics.cache_config.with({model, std::to_string(reading.block_tokens), std::to_string(blocks)}).set(1);
  }
  metrics.prefix_hit_ratio.with({model}).set(
      ratio(as_double(now.kv.hit_tokens), as_double(now.kv.hit_tokens + now.kv.miss_tokens)));
  metrics.speculation_acceptance.with({model}).set(ratio(as_double(now.accepted_tokens), as_double(now.draft_tokens)));
  metrics.kv_store_bytes.with({model}).set(as_double(now.store.bytes));
  if (reading.plan == nullptr) return;
  const MemoryPlan& plan = *reading.plan;
  const std::pair<const char*, std::uint64_t> parts[] = {
      {"weights", plan.weight_bytes}, {"kv", plan.kv_bytes},     {"workspace", plan.workspace_bytes},
      {"draft", plan.draft_bytes},    {"swap", plan.swap_bytes}, {"tokenizer", plan.tokenizer_bytes}};
  for (const auto& [part, bytes] : parts)
    metrics.model_memory.with({model, part}).set(as_double(bytes));
}

}  // namespace

void Metrics::observe_engine(const EngineReading& reading) {
  const std::string model(reading.model);
  const EngineStats& now = reading.stats;
  set_engine_gauges(*this, reading);

  const std::lock_guard<std::mutex> lock(engines_mutex_);
  std::unique_ptr<EngineCounts>& counts = engines_[model];
  if (counts == nullptr) counts = std::make_unique<EngineCounts>();
  // Steps only grow, so fewer of them are those of another engine.
  if (now.num_steps < counts->seen.num_steps) counts->seen = {};
  const EngineStats& before = counts->seen;
  const auto grow = [](Counter& counter, auto after, auto earlier) {
    counter.add(EngineCounts::added(after, earlier));
  };
  const auto lookups = [](const EngineStats& stats) { return stats.kv.hit_tokens + stats.kv.miss_tokens; };
  grow(prefix_queries.with({model}), lookups(now), lookups(before));
  grow(prefix_hits.with({model}), now.kv.hit_tokens, before.kv.hit_tokens);
  grow(preemptions.with({model}), now.scheduler.num_preempted, before.scheduler.num_preempted);
  grow(draft_tokens.with({model}), now.draft_tokens, before.draft_tokens);
  grow(accepted_tokens.with({model}), now.accepted_tokens, before.accepted_tokens);
  grow(kv_evictions.with({model}), now.kv.evictions, before.kv.evictions);
  grow(kv_swapped.with({model, "out"}), now.kv.swapped_out, before.kv.swapped_out);
  grow(kv_swapped.with({model, "in"}), now.kv.swapped_in, before.kv.swapped_in);
  grow(kv_store_reads.with({model, "hit"}), now.store.hits, before.store.hits);
  grow(kv_store_reads.with({model, "miss"}), now.store.misses, before.store.misses);
  grow(kv_store_reads.with({model, "damaged"}), now.store.damaged, before.store.damaged);
  grow(kv_store_writes.with({model, "written"}), now.store.written, before.store.written);
  grow(kv_store_writes.with({model, "dropped"}), now.store.dropped, before.store.dropped);
  grow(kv_store_writes.with({model, "failed"}), now.store.write_errors, before.store.write_errors);
  grow(scheduled.with({model, "submitted"}), now.scheduler.num_submitted, before.scheduler.num_submitted);
  grow(scheduled.with({model, "refused"}), now.scheduler.num_refused, before.scheduler.num_refused);
  grow(scheduled.with({model, "finished"}), now.scheduler.num_finished, before.scheduler.num_finished);
  grow(scheduled.with({model, "cancelled"}), now.scheduler.num_cancelled, before.scheduler.num_cancelled);
  grow(scheduled.with({model, "expired"}), now.scheduler.num_expired, before.scheduler.num_expired);
  grow(scheduled.with({model, "failed"}), now.scheduler.num_failed, before.scheduler.num_failed);
  grow(steps.with({model}), now.num_steps, before.num_steps);
  grow(llama_decodes.with(), now.num_steps, before.num_steps);
  grow(computed_tokens.with({model}), now.computed_tokens, before.computed_tokens);
  grow(engine_seconds.with({model, "step"}), now.step_ms / 1e3, before.step_ms / 1e3);
  grow(engine_seconds.with({model, "proposal"}), now.proposal_ms / 1e3, before.proposal_ms / 1e3);
  grow(engine_seconds.with({model, "overhead"}), now.overhead_ms / 1e3, before.overhead_ms / 1e3);
  counts->seen = now;
  refresh_totals();
}

void Metrics::forget_engine(const std::string& model) {
  const std::lock_guard<std::mutex> lock(engines_mutex_);
  engines_.erase(model);
  for (MetricFamily<Gauge>* family :
       {&requests_running, &requests_waiting, &queued_prompt_tokens, &kv_usage, &kv_blocks, &cache_config,
        &prefix_hit_ratio, &speculation_acceptance, &kv_store_bytes, &model_memory}) {
    family->hide(model);
  }
  refresh_totals();
}

void Metrics::refresh_totals() {
  std::int64_t running = 0;
  std::int64_t waiting = 0;
  for (const auto& [model, counts] : engines_) {
    running += counts->seen.scheduler.running;
    waiting += counts->seen.scheduler.waiting;
  }
  llama_processing.with().set(static_cast<double>(running));
  llama_deferred.with().set(static_cast<double>(waiting));
  models_loaded.with().set(static_cast<double>(engines_.size()));
}

std::string Metrics::text(MetricsFormat format) const {
  std::string out;
#define MLXR_METRIC(kind, member, name, labels, buckets, help) write_family(member, format, out);
#include "daemon/telemetry/metrics.def"
#undef MLXR_METRIC
  if (format == MetricsFormat::kOpenMetrics) out += "# EOF\n";
  return out;
}

MetricsFormat Metrics::format_for(std::string_view accept) {
  return accept.find("application/openmetrics-text") != std::string_view::npos ? MetricsFormat::kOpenMetrics
                                                                               : MetricsFormat::kPrometheus;
}

std::string_view Metrics::content_type(MetricsFormat format) {
  return format == MetricsFormat::kOpenMetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                               : "text/plain; version=0.0.4; charset=utf-8";
}

}  // namespace mlxr
