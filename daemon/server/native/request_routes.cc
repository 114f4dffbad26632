#include "daemon/server/access_gate.h"
#include "daemon/server/native/native_json.h"
#include "daemon/server/native/native_routes.h"
#include "daemon/service/model_service.h"
#include "daemon/telemetry/trace.h"

namespace mlxr::server {
namespace {

// Who administrates sees everybody's requests, others their own.
bool sees_all(const Caller& caller) {
  return caller.may(Scope::kAdmin);
}

bool is_own(const Caller& caller, std::string_view fairness_key) {
  return account_of(fairness_key) == caller.fairness_key;
}

http::Response list_requests(const DaemonServices& services, const http::Request& request) {
  const Caller caller = caller_of_request(request);
  Json list = Json::array();
  for (const OpenRequest& open : services.models.requests()) {
    if (!sees_all(caller) && !is_own(caller, open.caller_key)) continue;
    list.push_back({{"id", open.id},
                    {"model", open.model},
                    {"caller", account_of(open.caller_key)},
                    {"dialect", open.dialect},
                    {"state", open.state},
                    {"prompt_tokens", open.prompt_tokens},
                    {"generated_tokens", open.generated_tokens},
                    {"age_ms", open.age_ms}});
  }
  return native_answer({{"requests", std::move(list)}});
}

http::Response cancel_request(const DaemonServices& services, const http::Request& request) {
  const Caller caller = caller_of_request(request);
  const std::string& id = request.captures.at("id");
  std::string key;  // of the request itself: users of one caller may cancel each other's, other callers may not
  if (!sees_all(caller)) {
    for (const OpenRequest& open : services.models.requests()) {
      if (open.id == id && is_own(caller, open.caller_key)) key = open.caller_key;
    }
    if (key.empty()) return native_error(make_error(ApiErrorKind::kNotFound, "no request '" + id + "' is open"));
  }
  const Status cancelled = services.models.cancel(id, key);
  if (!cancelled.ok()) return native_error(to_api_error(cancelled));
  return native_answer({{"id", id}, {"cancelled", true}});
}

http::Response show_trace(const DaemonServices& services, const http::Request& request) {
  const Caller caller = caller_of_request(request);
  const std::string& id = request.captures.at("id");
  const auto trace = services.traces.find(id);
  if (trace == nullptr || (!sees_all(caller) && trace->key_id() != caller.key_id)) {
    return native_error(
        make_error(ApiErrorKind::kNotFound, "no trace of request '" + id + "' is kept (setting trace_keep)"));
  }
  return http::json_response(200, trace_json(*trace));
}

}  // namespace

void register_request_routes(http::Router& router, const DaemonServices& services) {
  struct Row {
    http::Method method;
    const char* pattern;
    http::Response (*answer)(const DaemonServices&, const http::Request&);
  };
  constexpr Row kRows[] = {
      {http::Method::kGet, "/v1/requests", list_requests},
      {http::Method::kDelete, "/v1/requests/{id}", cancel_request},
      {http::Method::kGet, "/v1/requests/{id}/trace", show_trace},
  };
  for (const Row& row : kRows) {
    router.add({.method = row.method,
                .pattern = row.pattern,
                .handler = [&services, answer = row.answer](
                               auto exchange) { exchange->respond(answer(services, exchange->request())); },
                .options = {.scope = "models:read"}});
  }
}

}  // namespace mlxr::server
