#pragma once
// AccessGate: between the wire and Authenticator. One check for every route, whatever its dialect: before the body of a
// request is read.
//
// Threads: all calls from any thread.

#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "daemon/access/access.h"
#include "daemon/http/router.h"
#include "daemon/http/server.h"
#include "daemon/server/dialect_services.h"
#include "daemon/telemetry/metrics.h"

namespace mlxr::server {

class AccessGate {
 public:
  // Both must outlive the gate. `shape` makes the body of a refusal, by path.
  using Shape = std::function<http::Response(std::string_view path, int status, const std::string& message)>;
  AccessGate(Authenticator& access, Metrics& metrics) : access_(access), metrics_(metrics) {}
  void set_shape(Shape shape) { shape_ = std::move(shape); }  // before the server starts

  // For ServerOptions::authorize: puts a Caller into the request.
  std::optional<http::Response> authorize(http::Request& request, const http::Route& route);
  // For DialectServices::identify.
  std::optional<ApiError> identify(const http::Request& request, CallOptions& options) const;
  // Who a request's fairness key stands for; nullopt for one that was never let in.
  std::optional<Caller> caller_of(const std::string& fairness_key) const;

 private:
  http::Response refuse(const http::Request& request, const http::Route& route, const Denial& denial);

  Authenticator& access_;
  Metrics& metrics_;
  Shape shape_;
  mutable std::mutex mutex_;
  std::map<std::string, Caller, std::less<>> callers_;  // by fairness key; as many as there are keys
};

// The caller that authorize() put into the request; an anonymous one without rights when there is none.
Caller caller_of_request(const http::Request& request);
// What a fairness key of a call belongs to: a caller's own key, without the user that a dialect's field named.
std::string_view account_of(std::string_view fairness_key);

}  // namespace mlxr::server
