#pragma once
// What goes over the wire, without the wire: requests and responses as values. No third-party header is needed to use
// them.

#include <any>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mlxr::http {

enum class Method : std::uint8_t { kGet, kHead, kPost, kPut, kPatch, kDelete, kOptions };

std::string_view method_name(Method method);

// Header fields in the order in which they came. Names are compared without regard to case.
class Fields {
 public:
  using Entry = std::pair<std::string, std::string>;

  Fields() = default;
  Fields(std::initializer_list<Entry> entries) : entries_(entries) {}

  void add(std::string name, std::string value) { entries_.emplace_back(std::move(name), std::move(value)); }
  // Replaces what is there under the name.
  void set(std::string_view name, std::string value);
  // The first one; nullopt when there is none.
  std::optional<std::string_view> find(std::string_view name) const;
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  std::vector<Entry> entries_;
};

// Who is at the other end of a connection.
struct Peer {
  bool local_socket = false;  // a Unix socket: whoever may open it
  std::string address;        // "127.0.0.1:53012", "[::1]:53012"; empty for a Unix socket
  bool tls = false;
};

struct Request {
  std::string id;  // unique; in the answer as X-Request-Id. The peer's own X-Request-Id when it is a reasonable one
  Method method = Method::kGet;
  std::string target;                                      // as it came: path and query
  std::string path;                                        // decoded, without the query
  std::vector<std::pair<std::string, std::string>> query;  // decoded
  std::map<std::string, std::string> captures;             // the route's {name} parts, decoded
  Fields fields;
  std::string body;       // all of it; empty when it went to body_file
  std::string body_file;  // of routes with body_to_file: a file that is removed with the exchange unless it was renamed
  Peer peer;
  std::chrono::steady_clock::time_point received;
  std::any caller;  // what ServerOptions::authorize put here

  // nullopt: not in the query.
  std::optional<std::string_view> query_value(std::string_view name) const;
};

struct Response {
  int status = 200;
  Fields fields = {};  // Content-Length, Date, Connection, X-Request-Id and CORS fields are the server's
  std::string body = {};
};

// With its Content-Type; `body` is JSON text already.
Response json_response(int status, std::string body);
Response text_response(int status, std::string body);
std::string_view reason_phrase(int status);

}  // namespace mlxr::http
