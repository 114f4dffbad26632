#include <algorithm>
#include <random>

#include <fmt/core.h>

#include "daemon/http/origin_rules.h"
#include "daemon/http/server_core.h"
#include "daemon/http/target.h"

namespace mlxr::http {
namespace {

constexpr std::size_t kMaxIdBytes = 128;

std::string random_prefix() {
  std::random_device device;
  return fmt::format("{:08x}{:08x}", device(), device());
}

// Nothing that could confuse a log.
bool is_reasonable_id(std::string_view id) {
  return !id.empty() && id.size() <= kMaxIdBytes && std::ranges::all_of(id, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-_.:/+=").find(c) != std::string_view::npos;
  });
}

std::optional<Method> method_of(std::string_view name) {
  for (const Method method :
       {Method::kGet, Method::kHead, Method::kPost, Method::kPut, Method::kPatch, Method::kDelete, Method::kOptions}) {
    if (name == method_name(method)) return method;
  }
  return std::nullopt;
}

std::string method_list(const std::vector<Method>& methods) {
  std::string list;
  for (const Method method : methods)
    list.append(method_name(method)).append(", ");
  return list + "OPTIONS";
}

// The checks in their order; each sets `answer` and ends, or goes on.
class Admitter {
 public:
  Admitter(ServerCore& core, Admission& admission, const std::string& bound)
      : core_(core), admission_(admission), request_(admission.request), bound_(bound) {}

  void run(const RequestHead& head) {
    const auto method = method_of(head.method);
    if (!method) return refuse(501, fmt::format("the method {} is not implemented", head.method.substr(0, 32)));
    request_.method = *method;
    auto target = parse_target(head.target);
    if (!target.ok()) return refuse(400, target.status().message());
    request_.path = target->path;
    request_.query = std::move(target->query);
    if (!check_host(target->authority) || !check_origin()) return;
    const Router::Match match = core_.router.find(request_.method, target->raw_path);
    if (match.route == nullptr && request_.method == Method::kOptions) return answer_options(match.allowed);
    if (match.route == nullptr) return refuse_unrouted(match.allowed);
    admission_.route = match.route;
    request_.captures = match.captures;
    if (core_.options.authorize) {
      if (auto refusal = core_.options.authorize(request_, *match.route)) return answer(std::move(*refusal));
    }
    const RouteOptions& options = match.route->options;
    admission_.max_body_bytes = options.max_body_bytes != 0 ? options.max_body_bytes : core_.options.max_body_bytes;
    if (head.content_length.value_or(0) > admission_.max_body_bytes) {
      refuse(413, fmt::format("the body of {} bytes is larger than the {} bytes that this route takes",
                              *head.content_length, admission_.max_body_bytes));
    }
  }

 private:
  void answer(Response response) { admission_.answer = std::move(response); }
  void refuse(int status, const std::string& message) {
    answer(core_.error(admission_.route, request_.path, status, message));
  }

  // A page of another site that reaches the server by a name of its own (DNS rebinding) says that name here. A peer of
  // HTTP/1.0 without a Host is no browser.
  bool check_host(std::string_view authority) {
    if (request_.peer.local_socket) return true;
    const auto host = request_.fields.find("Host");
    const auto& allowed = core_.options.allowed_hosts;
    const bool good = (!host || host_allowed(*host, allowed, bound_)) &&
                      (authority.empty() || host_allowed(authority, allowed, bound_));
    if (!good) refuse(403, "this server does not go by the name in the Host field");
    return good;
  }

  bool check_origin() {
    const auto origin = request_.fields.find("Origin");
    if (!origin) return true;
    const auto& allowed = core_.options.allowed_origins;
    if (!origin_allowed(*origin, allowed)) {
      const auto host = request_.fields.find("Host");
      if (host && same_origin(*origin, *host, request_.peer.tls)) return true;
      refuse(403, "web pages of this Origin may not call this server");
      return false;
    }
    const bool any = std::ranges::find(allowed, "*") != allowed.end();
    admission_.cors.add("Access-Control-Allow-Origin", any ? "*" : std::string(*origin));
    if (!any) admission_.cors.add("Vary", "Origin");
    admission_.cors.add("Access-Control-Expose-Headers", "*");
    return true;
  }

  void answer_options(const std::vector<Method>& allowed) {
    if (allowed.empty() && request_.path != "*") return refuse_unrouted(allowed);
    Response response{.status = 204};
    if (!allowed.empty()) response.fields.add("Allow", method_list(allowed));
    // The Fetch standard's preflight.
    if (request_.fields.find("Origin") && request_.fields.find("Access-Control-Request-Method")) {
      admission_.cors.add("Access-Control-Allow-Methods", method_list(allowed));
      if (const auto headers = request_.fields.find("Access-Control-Request-Headers")) {
        admission_.cors.add("Access-Control-Allow-Headers", std::string(*headers));
      }
      if (request_.fields.find("Access-Control-Request-Private-Network") == "true") {
        admission_.cors.add("Access-Control-Allow-Private-Network", "true");
      }
      admission_.cors.add("Access-Control-Max-Age", "600");
    }
    answer(std::move(response));
  }

  void refuse_unrouted(const std::vector<Method>& allowed) {
    if (allowed.empty()) {
      return refuse(404, fmt::format("there is no {} {}", method_name(request_.method), request_.path));
    }
    refuse(405, fmt::format("{} does not take {}", request_.path, method_name(request_.method)));
    admission_.answer->fields.set("Allow", method_list(allowed));
  }

  ServerCore& core_;
  Admission& admission_;
  Request& request_;
  const std::string& bound_;
};

}  // namespace

ServerCore::ServerCore(Router routes, ServerOptions with)
    : router(std::move(routes)), options(std::move(with)), workers(options.num_workers), id_prefix_(random_prefix()) {}

std::string ServerCore::make_id() {
  return fmt::format("req_{}{:08x}", id_prefix_, next_id_.fetch_add(1, std::memory_order_relaxed));
}

Response ServerCore::error(const Route* route, std::string_view path, int status, const std::string& message) const {
  if (route != nullptr && route->options.errors) return route->options.errors(status, message);
  return router.error(path, status, message);
}

Admission admit(ServerCore& core, RequestHead head, const Peer& peer, const std::string& bound) {
  Admission admission;
  Request& request = admission.request;
  request.received = std::chrono::steady_clock::now();
  request.peer = peer;
  request.target = head.target;
  request.fields = std::move(head.fields);
  const auto id = request.fields.find("X-Request-Id");
  request.id = id && is_reasonable_id(*id) ? std::string(*id) : core.make_id();
  Admitter(core, admission, bound).run(head);
  return admission;
}

}  // namespace mlxr::http
