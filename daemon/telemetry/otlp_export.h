#pragma once
// Sends finished traces to an OpenTelemetry collector (OTLP over HTTP, JSON), in batches, from a thread of its own. A
// collector that is slow or gone costs traces, never a request's time: what does not fit into the queue is dropped and
// counted. Threads: all calls from any thread.

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "core/base/status.h"
#include "daemon/telemetry/trace.h"

namespace mlxr {

class OtlpExporter {
 public:
  struct Options {
    std::string endpoint = {};  // "http://localhost:4318": /v1/traces is added unless it has a path
    std::size_t max_queued = 2048;
    std::size_t max_batch = 128;
    std::chrono::milliseconds batch_delay{1000};  // how long traces gather
    std::chrono::milliseconds timeout{5000};      // of a request to the collector
    // Told of a collector that does not take traces: at the first failure of a row of them. On the exporter's thread.
    std::function<void(const std::string&)> warn = {};
  };
  // kInvalidArgument: no http or https address.
  static Result<std::unique_ptr<OtlpExporter>> start(const Options& options);
  // Tries once to send what is queued.
  ~OtlpExporter();
  OtlpExporter(const OtlpExporter&) = delete;
  OtlpExporter& operator=(const OtlpExporter&) = delete;

  void add(std::shared_ptr<const RequestTrace> trace);
  // Waits until what is queued was sent or given up.
  void flush();

  struct Counts {
    std::uint64_t sent = 0;
    std::uint64_t dropped = 0;  // the queue was full
    std::uint64_t failed = 0;   // the collector did not take them
  };
  Counts counts() const;

 private:
  explicit OtlpExporter(const Options& options);
  void run();
  Status post(const std::string& body) const;

  Options options_;
  mutable std::mutex mutex_;  // guards what follows, up to the thread
  std::condition_variable wake_, idle_;
  std::deque<std::shared_ptr<const RequestTrace>> queue_;
  bool sending_ = false;
  bool flushing_ = false;
  bool stopping_ = false;
  Counts counts_;
  std::thread thread_;
};

}  // namespace mlxr
