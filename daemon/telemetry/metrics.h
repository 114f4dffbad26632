#pragma once
// Metrics: everything that the daemon counts, one member a row of metrics.def, and the functions that fill them from
// what the daemon has at hand.
//
// Threads: all calls from any thread. The observe functions look labels up (a shared lock); what is called for every
// token keeps the reference instead:  Histogram& gaps = metrics.inter_token_latency.with({model});

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/telemetry/metric.h"

namespace mlxr {

struct EngineStats;
struct MemoryPlan;

// One request for an answer that is over. Times in seconds; negative ones are unknown and not counted.
struct AnswerObservation {
  std::string model = {};
  std::string dialect = {};  // "openai"
  std::string key = {};      // name of the caller's key; empty: the local user
  // "ok", "cancelled", or a kind of error: "bad_request", "not_found", "context", "busy", "memory", "internal".
  std::string result = "ok";
  // Of each choice: "stop", "length", "tool_calls", "abort".
  std::vector<std::string> finish_reasons = {};

  std::int64_t prompt_tokens = 0;
  std::int64_t cached_tokens = 0;  // of the prompt's
  std::int64_t generated_tokens = 0;
  std::int64_t reasoning_tokens = 0;
  std::int64_t n = 1;
  std::int64_t max_tokens = -1;  // as asked; negative: no limit

  double queue_seconds = -1.0;
  double first_token_seconds = -1.0;  // from the arrival
  double prefill_seconds = -1.0;
  double decode_seconds = -1.0;
  double total_seconds = -1.0;
  double service = 0.0;  // weighted tokens
};

struct HttpObservation {
  std::string_view method = {};
  std::string_view route = {};  // the pattern, never the path
  int status = 0;
  double seconds = 0.0;
  std::uint64_t sent_bytes = 0;
  bool cut = false;
};

class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  void observe_answer(const AnswerObservation& answer);
  void observe_http(const HttpObservation& exchange);

  // What an engine has counted so far; called at each scrape and once more before it goes. Counts of one that was
  // loaded again go on from where they were.
  struct EngineReading {
    std::string_view model;
    const EngineStats& stats;
    const MemoryPlan* plan = nullptr;  // nullptr: memory is not shown
    std::int64_t block_tokens = 0;     // 0: the layout of the cache is not shown
  };
  void observe_engine(const EngineReading& reading);
  // It is not loaded any more: its gauges go, its counters stay.
  void forget_engine(const std::string& model);

  // All of it. Takes no lock that a request waits for.
  std::string text(MetricsFormat format = MetricsFormat::kPrometheus) const;
  // By the Accept field of a request.
  static MetricsFormat format_for(std::string_view accept);
  static std::string_view content_type(MetricsFormat format);

#define MLXR_METRIC(kind, member, name, labels, buckets, help) MetricFamily<kind> member;
#include "daemon/telemetry/metrics.def"
#undef MLXR_METRIC

 private:
  struct EngineCounts;
  void refresh_totals();

  std::mutex engines_mutex_;
  std::map<std::string, std::unique_ptr<EngineCounts>, std::less<>> engines_;  // as last seen
};

// docs/metrics.md.
std::string metrics_markdown();

}  // namespace mlxr
