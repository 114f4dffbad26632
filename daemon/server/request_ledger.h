#pragma once
// RequestLedger: what became of each request, told to metrics, traces, the log and the caller's account. It hears of a
// request from the HTTP server (its route, its end on the wire) and from the service (everything between).
//
// Threads: all calls from any thread.

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "daemon/http/server.h"
#include "daemon/server/access_gate.h"
#include "daemon/service/make_model_service.h"
#include "daemon/telemetry/log.h"
#include "daemon/telemetry/metrics.h"
#include "daemon/telemetry/trace.h"

namespace mlxr::server {

class RequestLedger {
 public:
  struct Parts {
    Metrics& metrics;
    TraceStore& traces;
    Log& log;
    Authenticator& access;
    AccessGate& gate;
  };
  explicit RequestLedger(const Parts& parts) : parts_(parts) {}

  // The head of a request was let in.
  void arrived(const http::Request& request, const http::Route& route);
  // Its exchange is over.
  void left(const http::ServerOptions::Record& record);
  ServiceObserver observer();

 private:
  using Time = std::chrono::steady_clock::time_point;
  // Of the wire: what a trace wants to know that the service does not.
  struct Arrival {
    std::string route;
    std::string traceparent;
    Time time;
  };
  // Of the service: one call. Its hooks are called one after the other.
  struct Call {
    std::shared_ptr<RequestTrace> trace;
    Time received;
    Time ready;
    Time queued;
    Time admitted;
    Time last_token;
    Histogram* token_gaps = nullptr;
    bool generating = false;
  };

  void received(const RequestFacts& facts);
  void finished(const RequestFacts& facts, const RequestOutcome& outcome);
  void tokens(const RequestFacts& facts, std::int64_t num_tokens);
  std::shared_ptr<Call> find(const std::string& id);
  void charge(const RequestFacts& facts, const RequestOutcome& outcome);
  void count(const RequestFacts& facts, const RequestOutcome& outcome);

  Parts parts_;
  std::mutex mutex_;                                              // guards what follows
  std::unordered_map<std::string, Arrival> arrivals_;             // by request, until it has left
  std::unordered_map<std::string, std::shared_ptr<Call>> calls_;  // by call, until it is finished
};

// "ok", "cancelled" or a kind of error, as metrics and traces name it.
std::string_view result_name(const RequestOutcome& outcome);

}  // namespace mlxr::server
