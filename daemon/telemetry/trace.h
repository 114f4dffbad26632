#pragma once
// Traces: what a request went through and when, kept for the last ones. Times are of the monotonic clock and shown from
// the request's arrival on. Threads: all calls from any thread.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace mlxr {

using TraceTime = std::chrono::steady_clock::time_point;
using TraceValue = std::variant<std::string, std::int64_t, double, bool>;
using TraceAttributes = std::vector<std::pair<std::string, TraceValue>>;

// Names that the daemon uses: "queued", "admitted", "load", "render", "tokenize", "prefill", "decode", "sampling",
// "stream", "first_token" (an event: no length).
struct TraceSpan {
  std::string name;
  TraceTime start;
  TraceTime end;  // start of an event
  bool open = false;
  TraceAttributes attributes;
};

// Where a request comes from and goes to.
struct TraceIdentity {
  std::string request_id = {};
  std::string model = {};
  std::string dialect = {};
  std::string route = {};
  std::string key_id = {};
  // The W3C header of a caller that traces too ("00-<trace>-<span>-01"); an unreadable one is ignored.
  std::string traceparent = {};
};

class RequestTrace {
 public:
  static constexpr std::size_t kMaxSpans = 2048;  // more are counted

  RequestTrace(TraceIdentity identity, TraceTime start, std::int64_t start_unix_ns);

  // A span that is open until end(); its handle.
  std::size_t begin(std::string name, TraceTime at);
  void end(std::size_t span, TraceTime at, TraceAttributes attributes = {});
  // One that is over already.
  void add(std::string name, TraceTime start, TraceTime end, TraceAttributes attributes = {});
  void event(std::string name, TraceTime at, TraceAttributes attributes = {});
  // Of the whole request; a name that is there is replaced.
  void set(std::string name, TraceValue value);
  void set_model(std::string model);

  const std::string& request_id() const { return identity_.request_id; }
  const std::string& key_id() const { return identity_.key_id; }
  const std::string& trace_id() const { return trace_id_; }  // 32 hexadecimal digits

  struct Snapshot {
    TraceIdentity identity;
    std::string trace_id;
    std::string parent_span_id;  // of the caller's; empty: none
    std::string span_id;
    TraceTime start;
    TraceTime end;  // of the request; start while it is open
    std::int64_t start_unix_ns = 0;
    bool finished = false;
    std::string result;
    TraceAttributes attributes;
    std::vector<TraceSpan> spans;  // in the order of their beginnings as far as they were told in it
    std::size_t dropped_spans = 0;
  };
  Snapshot snapshot() const;

 private:
  friend class TraceStore;
  bool finish(std::string result, TraceTime at);

  TraceIdentity identity_;  // but for the model never changed
  std::string trace_id_, parent_span_id_, span_id_;
  TraceTime start_;
  std::int64_t start_unix_ns_;
  mutable std::mutex mutex_;  // guards what follows
  TraceTime end_;
  bool finished_ = false;
  std::string result_;
  TraceAttributes attributes_;
  std::vector<TraceSpan> spans_;
  std::size_t dropped_ = 0;
};

class TraceStore {
 public:
  // Keeps the `keep` latest requests; 0: traces are made and thrown away. `on_finished` gets each trace when it is
  // over, on the thread that ended it; it must not wait.
  explicit TraceStore(std::size_t keep, std::function<void(std::shared_ptr<const RequestTrace>)> on_finished = {});

  std::shared_ptr<RequestTrace> start(TraceIdentity identity, TraceTime at = std::chrono::steady_clock::now());
  // `result`: "ok", "cancelled" or what went wrong. Open spans end with it. Only the first call counts.
  void finish(const std::shared_ptr<RequestTrace>& trace, std::string result,
              TraceTime at = std::chrono::steady_clock::now());

  // nullptr: not among the last ones.
  std::shared_ptr<const RequestTrace> find(std::string_view request_id) const;
  // Latest first.
  std::vector<std::shared_ptr<const RequestTrace>> latest(std::size_t count) const;
  void set_keep(std::size_t keep);

 private:
  mutable std::mutex mutex_;  // guards what follows
  std::size_t keep_;
  std::deque<std::shared_ptr<RequestTrace>> ring_;  // oldest first
  std::unordered_map<std::string, std::shared_ptr<RequestTrace>> by_id_;
  std::function<void(std::shared_ptr<const RequestTrace>)> on_finished_;
};

// The answer of /v1/requests/{id}/trace: times in milliseconds from the request's arrival.
std::string trace_json(const RequestTrace& trace);
// Spans in OpenTelemetry's JSON (OTLP/HTTP, resourceSpans).
std::string otlp_json(const std::vector<std::shared_ptr<const RequestTrace>>& traces);

}  // namespace mlxr
