#include "daemon/server/native/replay_routes.h"

#include <optional>

#include <fmt/core.h>

#include "daemon/server/access_gate.h"
#include "daemon/server/inner_exchange.h"
#include "daemon/server/native/native_json.h"
#include "daemon/telemetry/request_record.h"

namespace mlxr::server {
namespace {

http::Response replay(const DaemonServices& services, const http::Router& routes, const http::Request& request) {
  const Result<RequestRecord> recorded = parse_record(request.body);
  if (!recorded.ok()) return native_error(to_api_error(invalid_argument(recorded.status().message())));
  // What the caller was let in for is inference: no other route may be reached by way of a record.
  const http::Router::Match match = routes.find(http::Method::kPost, recorded->route);
  if (match.route == nullptr || match.route->options.scope != scope_name(Scope::kInference) ||
      match.route->options.body_to_file) {
    return native_error(make_error(ApiErrorKind::kUnsupported,
                                   fmt::format("{} is no route whose requests can be replayed", recorded->route)));
  }
  http::Request again;
  again.id = request.id + "-replay";
  again.method = http::Method::kPost;
  again.target = again.path = recorded->route;
  again.body = recorded->body;
  again.fields.set("Content-Type", "application/json");
  again.peer = request.peer;
  again.received = std::chrono::steady_clock::now();
  again.caller = request.caller;

  std::optional<std::uint64_t> seed;
  if (!recorded->choices.empty()) seed = recorded->choices.front().seed;
  const std::string id = again.id;
  services.recording.expect(id, seed);
  const http::Response answer = call_route(routes, std::move(again));
  std::optional<RequestRecord> replayed = services.recording.take(id);
  if (!replayed) {
    const std::string reason = answer.status == 200 ? "the route answers without a model" : answer.body;
    return native_error(make_error(
        ApiErrorKind::kUnsupported,
        fmt::format("{} was answered with {} and nothing to compare: {}", recorded->route, answer.status, reason)));
  }
  replayed->route = recorded->route;
  replayed->body = recorded->body;
  replayed->version = services.version;
  return http::json_response(200, record_line(*replayed));
}

}  // namespace

void register_replay_routes(http::Router& router, const DaemonServices& services,
                            std::shared_ptr<const http::Router> routes) {
  router.add({.method = http::Method::kPost,
              .pattern = "/v1/replay",
              .handler = [&services, routes = std::move(routes)](
                             auto exchange) { exchange->respond(replay(services, *routes, exchange->request())); },
              .options = {.blocking = true, .scope = "inference"}});
}

}  // namespace mlxr::server
