#pragma once
// What the connections of one server share, without the sockets.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>

#include "daemon/http/request_reader.h"
#include "daemon/http/server.h"
#include "daemon/http/worker_pool.h"

namespace mlxr::http {

struct ServerCore {
  ServerCore(Router routes, ServerOptions with);

  const Router router;
  const ServerOptions options;
  WorkerPool workers;  // blocking handlers
  WorkerPool disk{1};  // bodies on their way to files
  std::atomic<bool> stopping = false;
  std::atomic<std::uint64_t> exchanges = 0;
  std::atomic<std::uint64_t> accepted = 0;
  std::atomic<std::uint64_t> refused = 0;
  std::atomic<std::uint64_t> requests = 0;

  // Connections that are open, those that are being refused among them.
  std::mutex mutex;
  std::condition_variable none_left;
  std::uint64_t connections = 0;
  std::uint64_t refusing = 0;

  std::string make_id();
  // In the shape of the route, else of the path.
  Response error(const Route* route, std::string_view path, int status, const std::string& message) const;

 private:
  const std::string id_prefix_;
  std::atomic<std::uint64_t> next_id_ = 0;
};

// What is decided when the head of a request is there.
struct Admission {
  Request request;
  const Route* route = nullptr;    // to be called, unless there is an answer
  std::optional<Response> answer;  // instead of the handler's; the body is of no interest
  Fields cors;                     // of every answer
  std::uint64_t max_body_bytes = 0;
};

// `bound`: the address of the TCP listener. Calls ServerOptions::authorize.
Admission admit(ServerCore& core, RequestHead head, const Peer& peer, const std::string& bound);

}  // namespace mlxr::http
