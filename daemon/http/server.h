#pragma once
// Server: HTTP/1.1 on Unix sockets and TCP, with or without TLS. A few threads hold thousands of open streams.
//
// Everything a peer sends is bounded: the head (bytes and time), the body (bytes and time), idle connections, requests
// on one connection, connections in all. What breaks a bound or the protocol gets one answer that says which, in the
// shape of the route's dialect, and the connection ends. Requests that come early (pipelining) are answered in order.
//
// A peer that closes while an answer is due is told to Exchange::on_closed. One that only stops writing
// (shutdown(SHUT_WR)) still gets its answer: connection.h says how the two are told apart. Over TLS both are the end.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "daemon/http/router.h"

namespace mlxr::http {

struct Listener {
  std::string unix_path = {};        // made with mode 0600; a stale socket is replaced, one that answers is an error
  std::string host = {};             // an address or "localhost"; TCP when not empty
  std::uint16_t port = 0;            // 0: the system chooses (Server::addresses() says which)
  std::string tls_certificate = {};  // PEM chain; TLS when not empty
  std::string tls_key = {};
};

struct ServerOptions {
  std::vector<Listener> listeners = {};
  int num_threads = 2;
  int num_workers = 4;  // for handlers of blocking routes
  std::size_t max_head_bytes = std::size_t{64} << 10;
  std::size_t max_body_bytes = std::size_t{64} << 20;
  std::size_t max_connections = 16384;
  std::size_t max_unsent_bytes = std::size_t{8} << 20;  // a peer that reads nothing is cut off beyond
  std::chrono::milliseconds head_timeout{std::chrono::seconds(30)};
  // Without a byte. Beyond it a body must also come at 1 KiB/s on the whole.
  std::chrono::milliseconds body_timeout{std::chrono::seconds(120)};
  std::chrono::milliseconds idle_timeout{std::chrono::seconds(120)};
  std::chrono::milliseconds write_timeout{std::chrono::seconds(120)};  // without progress
  std::string upload_folder = {};  // of bodies that go to a file; empty: the system's for temporary files

  // On TCP the Host field must name one of these or, when they are empty, the loopback (localhost, *.localhost,
  // 127.0.0.0/8, ::1), any literal address that the listener is bound to: a page of another site cannot reach the
  // server through a name of its own (DNS rebinding). "*.name": names below it; "*": any.
  std::vector<std::string> allowed_hosts = {};
  // Origins that browsers may call from: "https://a.example", "http://localhost:*", "*". CORS preflights are answered
  // for these alone; a request with another Origin is refused (403) unless it is the server's own.
  std::vector<std::string> allowed_origins = {};

  // Called when the head of a request for a route, open ones too, is there, before its body is read. An answer refuses
  // the request.
  // May put who it is into request.caller.
  std::function<std::optional<Response>(Request& request, const Route& route)> authorize = {};
  struct Record {
    const Request& request;
    int status;
    std::uint64_t sent_bytes;
    std::chrono::nanoseconds duration;
    bool cut;  // the peer left before the end
  };
  // When an answer is over, those of the server itself too; on the connection's thread. The request is a copy without
  // the body.
  std::function<void(const Record& record)> on_finished = {};
};

struct ServerCounts {
  std::uint64_t connections = 0;  // now
  std::uint64_t exchanges = 0;    // now
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;  // over max_connections
  std::uint64_t requests = 0;
};

class Server {
 public:
  // Listens when it returns. The router must not change from then on.
  static Result<std::unique_ptr<Server>> start(Router router, ServerOptions options);
  // Stops at once.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // "unix:/run/...", "http://127.0.0.1:41573", one a listener.
  std::vector<std::string> addresses() const;
  ServerCounts counts() const;
  // Accepts no more, lets open exchanges end until the deadline, then cuts them. Removes the sockets. Waits for
  // handlers of blocking routes that run; not to be called by a handler.
  void stop(std::chrono::steady_clock::time_point deadline);

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mlxr::http
