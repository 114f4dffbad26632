#pragma once
// One HTTP request at a time, over libcurl. Redirects are followed here and not by libcurl, so that credentials never
// reach another host and a secure request never becomes a plain one. A value; any thread.

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "daemon/registry/transfer/cancel_token.h"

namespace mlxr {

struct HttpHeader {
  std::string name;
  std::string value;
};
using HttpHeaders = std::vector<HttpHeader>;

// Without regard to case; nullptr when there is none, the last when there are several.
const std::string* find_header(const HttpHeaders& headers, std::string_view name);

struct HttpSettings {
  std::chrono::milliseconds connect_timeout{15'000};
  std::chrono::milliseconds stall_timeout{30'000};  // without a byte in either direction: kInternal
  std::string ca_file = {};
  bool insecure = false;  // plain http and certificates that do not verify are fine

  int max_tries = 6;  // of send_with_retries()
  std::chrono::milliseconds first_backoff{1'000};
  std::chrono::milliseconds max_backoff{60'000};

  // Before try number `num_failed` + 1: doubles each time.
  std::chrono::milliseconds backoff(int num_failed) const;
};

// A part of an open file as the body of a request.
struct FileBody {
  int fd = -1;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::function<void(std::uint64_t)> on_sent = {};  // bytes of this part so far
};

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  HttpHeaders headers = {};
  std::string authorization = {};  // the header's value; sent to the host of `url` alone
  std::string body = {};
  std::optional<FileBody> file = {};
  std::uint64_t max_body_bytes = 8 << 20;  // of the reply
  bool headers_only = false;               // hang up where the body of a reply of 2xx begins
  int max_redirects = 10;                  // of GET and HEAD; other methods get the redirect itself as their reply
};

struct HttpReply {
  int status = 0;
  HttpHeaders headers = {};
  std::string body = {};
  std::string url = {};            // after redirects
  HttpHeaders first_headers = {};  // of the first reply, where redirects were followed

  bool ok() const { return status >= 200 && status < 300; }
  // "404 Not Found: what the server said", one short line.
  std::string summary() const;
};

class HttpClient {
 public:
  explicit HttpClient(HttpSettings settings) : settings_(std::move(settings)) {}

  // Any status is a reply. kInternal for what may go away by itself (no connection, a stall, a broken answer),
  // kInvalidArgument for a refused URL or certificate, kResourceExhausted for a body that is too long, kCancelled.
  Result<HttpReply> send(const HttpRequest& request, const CancelToken& cancel) const;
  // Again, after a wait, on kInternal and on 408, 429 and 5xx. The last reply or error when tries are used up.
  Result<HttpReply> send_with_retries(const HttpRequest& request, const CancelToken& cancel) const;

  const HttpSettings& settings() const { return settings_; }

 private:
  Result<HttpReply> send_once(const HttpRequest& request, const CancelToken& cancel) const;

  HttpSettings settings_;
};

// Whether a reply of this status may be another one later.
bool is_passing_failure(int status);
// What Retry-After asks for; nullopt when it is absent or no number of seconds. At most five minutes.
std::optional<std::chrono::milliseconds> retry_after(const HttpHeaders& headers);

}  // namespace mlxr
