#include "daemon/server/access_gate.h"

#include <any>

#include <fmt/core.h>

#include "core/base/check.h"

namespace mlxr::server {
namespace {

// Stands between a caller's name and the user within it; no name of a key contains one.
constexpr char kUserMark = '\x1f';
constexpr std::size_t kMaxUserBytes = 256;

}  // namespace

Caller caller_of_request(const http::Request& request) {
  const auto* caller = std::any_cast<Caller>(&request.caller);
  return caller == nullptr ? Caller{} : *caller;
}

std::string_view account_of(std::string_view fairness_key) {
  return fairness_key.substr(0, fairness_key.find(kUserMark));
}

http::Response AccessGate::refuse(const http::Request& request, const http::Route& route, const Denial& denial) {
  metrics_.access_denied.with({std::string(denial_reason_name(denial.reason))}).add();
  http::Response response = route.options.errors ? route.options.errors(denial.http_status, denial.message)
                                                 : shape_(request.path, denial.http_status, denial.message);
  if (denial.retry_after) response.fields.set("Retry-After", fmt::format("{}", denial.retry_after->count()));
  if (denial.http_status == 401) response.fields.set("WWW-Authenticate", "Bearer realm=\"mlxrunner\"");
  return response;
}

std::optional<http::Response> AccessGate::authorize(http::Request& request, const http::Route& route) {
  if (route.options.open) return std::nullopt;
  std::optional<Scope> scope;
  if (!route.options.scope.empty()) {
    const Result<Scope> parsed = parse_scope(route.options.scope);
    MLXR_CHECK(parsed.ok(), "a route names a scope that there is not");
    scope = *parsed;
  }
  Credentials credentials;
  credentials.authorization = request.fields.find("Authorization").value_or("");
  credentials.api_key = request.fields.find("x-api-key").value_or("");
  credentials.local_socket = request.peer.local_socket;
  AccessDecision decision = access_.check(credentials, scope, std::chrono::system_clock::now());
  if (const auto* denial = std::get_if<Denial>(&decision)) return refuse(request, route, *denial);
  Caller& caller = std::get<Caller>(decision);
  {
    const std::lock_guard lock(mutex_);
    callers_.insert_or_assign(caller.fairness_key, caller);
  }
  request.caller = std::move(caller);
  return std::nullopt;
}

std::optional<ApiError> AccessGate::identify(const http::Request& request, CallOptions& options) const {
  const Caller caller = caller_of_request(request);
  if (const std::optional<Denial> denial = Authenticator::check_model(caller, options.model))
    return make_error(ApiErrorKind::kForbidden, denial->message, "model");
  // Who shows a key is one caller, however many users it speaks for; who needs none is told apart by their word.
  const std::string user = options.origin.caller_key.substr(0, kMaxUserBytes);
  options.origin.caller_key = caller.fairness_key;
  if (caller.kind != Caller::Kind::kKey && !user.empty()) options.origin.caller_key += kUserMark + user;
  if (!options.origin.cache_salt.empty()) {
    options.origin.cache_salt = caller.cache_salt + kUserMark + options.origin.cache_salt;
  } else {
    options.origin.cache_salt = caller.cache_salt;
  }
  return std::nullopt;
}

std::optional<Caller> AccessGate::caller_of(const std::string& fairness_key) const {
  const std::lock_guard lock(mutex_);
  const auto found = callers_.find(account_of(fairness_key));
  if (found == callers_.end()) return std::nullopt;
  return found->second;
}

}  // namespace mlxr::server
