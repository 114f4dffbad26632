#include "daemon/registry/transfer/http_client.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include <fmt/core.h>

#include "daemon/registry/transfer/curl_handle.h"
#include "daemon/registry/transfer/url.h"

namespace mlxr {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kMaxRetryAfter{300'000};
constexpr int kPollMs = 50;

bool equal_without_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
           return lower(x) == lower(y);
         });
}

// The state of one exchange, as libcurl's callbacks see it.
struct Exchange {
  const HttpRequest& request;
  CurlRequest& curl;
  std::string body = {};
  bool hung_up = false;   // on purpose, where the body begins
  bool too_long = false;  // the reply's body
  std::uint64_t sent = 0;
  std::uint64_t body_position = 0;
  std::string read_error = {};
};

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  const std::size_t bytes = size * count;
  const int status = exchange.curl.status();
  const bool is_error = status >= 300;
  if (exchange.request.headers_only && !is_error) {
    exchange.hung_up = true;
    return 0;
  }
  if (bytes > exchange.request.max_body_bytes - exchange.body.size()) {
    exchange.too_long = true;
    return 0;
  }
  exchange.body.append(data, bytes);
  return bytes;
}

std::size_t on_upload(char* data, std::size_t size, std::size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  const FileBody& file = *exchange.request.file;
  const std::uint64_t wanted = std::min<std::uint64_t>(size * count, file.size - exchange.body_position);
  if (wanted == 0) return 0;
  const ssize_t got = ::pread(file.fd, data, static_cast<std::size_t>(wanted),
                              static_cast<off_t>(file.offset + exchange.body_position));
  if (got <= 0) {
    exchange.read_error = got == 0 ? "the file became shorter" : std::strerror(errno);
    return CURL_READFUNC_ABORT;
  }
  exchange.body_position += static_cast<std::uint64_t>(got);
  if (file.on_sent) file.on_sent(exchange.body_position);
  return static_cast<std::size_t>(got);
}

int on_seek(void* user, curl_off_t offset, int origin) {
  if (origin != SEEK_SET || offset < 0) return CURL_SEEKFUNC_CANTSEEK;
  static_cast<Exchange*>(user)->body_position = static_cast<std::uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

void set_method_and_body(Exchange& exchange) {
  const HttpRequest& request = exchange.request;
  CURL* easy = exchange.curl.easy.get();
  if (request.method == "HEAD") {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  } else if (request.file) {
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, &on_upload);
    curl_easy_setopt(easy, CURLOPT_READDATA, &exchange);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, &on_seek);
    curl_easy_setopt(easy, CURLOPT_SEEKDATA, &exchange);
    curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.file->size));
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  } else if (request.method != "GET" || !request.body.empty()) {
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.c_str());
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
}

std::uint64_t bytes_moved(CURL* easy) {
  curl_off_t down = 0;
  curl_off_t up = 0;
  curl_off_t header = 0;
  curl_easy_getinfo(easy, CURLINFO_SIZE_DOWNLOAD_T, &down);
  curl_easy_getinfo(easy, CURLINFO_SIZE_UPLOAD_T, &up);
  long header_bytes = 0;
  curl_easy_getinfo(easy, CURLINFO_HEADER_SIZE, &header_bytes);
  header = header_bytes;
  return static_cast<std::uint64_t>(down + up + header);
}

struct Outcome {
  CURLcode code = CURLE_OK;
  bool cancelled = false;
  bool stalled = false;
};

// A loop of our own instead of curl_easy_perform: it sees a cancel within kPollMs and counts stalls in milliseconds.
Outcome perform(CurlRequest& curl, const HttpSettings& settings, const CancelToken& cancel) {
  const CurlMulti multi = make_curl_multi();
  curl_multi_add_handle(multi.get(), curl.easy.get());
  Outcome outcome;
  std::uint64_t moved = 0;
  Clock::time_point last_move = Clock::now();
  int num_running = 1;
  while (num_running > 0) {
    curl_multi_perform(multi.get(), &num_running);
    if (num_running == 0) break;
    outcome.cancelled = cancel.cancelled();
    const std::uint64_t now_moved = bytes_moved(curl.easy.get());
    if (now_moved != moved) last_move = Clock::now();
    moved = now_moved;
    outcome.stalled = Clock::now() - last_move > settings.stall_timeout;
    if (outcome.cancelled || outcome.stalled) break;
    curl_multi_poll(multi.get(), nullptr, 0, kPollMs, nullptr);
  }
  int num_left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi.get(), &num_left)) {
    if (message->msg == CURLMSG_DONE) outcome.code = message->data.result;
  }
  curl_multi_remove_handle(multi.get(), curl.easy.get());
  return outcome;
}

// May wait forever to be read by people, so it is short and printable.
std::string first_line(std::string_view body) {
  std::string line;
  for (const char c : body.substr(0, 300)) {
    if (c == '\n' && !line.empty()) break;
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f) line += c;
  }
  return line;
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

}  // namespace

const std::string* find_header(const HttpHeaders& headers, std::string_view name) {
  const auto found = std::find_if(headers.rbegin(), headers.rend(),
                                  [&](const HttpHeader& header) { return equal_without_case(header.name, name); });
  return found == headers.rend() ? nullptr : &found->value;
}

std::chrono::milliseconds HttpSettings::backoff(int num_failed) const {
  std::chrono::milliseconds wait = first_backoff;
  for (int i = 1; i < num_failed && wait < max_backoff; ++i)
    wait *= 2;
  return std::min(wait, max_backoff);
}

bool is_passing_failure(int status) {
  return status == 408 || status == 425 || status == 429 || status >= 500;
}

std::optional<std::chrono::milliseconds> retry_after(const HttpHeaders& headers) {
  const std::string* text = find_header(headers, "Retry-After");
  if (text == nullptr) return std::nullopt;
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), seconds);
  if (error != std::errc() || end != text->data() + text->size() || seconds < 0) return std::nullopt;
  if (seconds >= kMaxRetryAfter.count() / 1000) return kMaxRetryAfter;
  return std::chrono::milliseconds(seconds * 1000);
}

std::string HttpReply::summary() const {
  const std::string said = first_line(body);
  return said.empty() ? fmt::format("status {}", status) : fmt::format("status {}: {}", status, said);
}

Result<HttpReply> HttpClient::send_once(const HttpRequest& request, const CancelToken& cancel) const {
  MLXR_ASSIGN_OR_RETURN(const Url url, parse_url(request.url));
  if (url.scheme == "http" && !settings_.insecure) {
    return invalid_argument(
        fmt::format("{} is plain http, which is used only when asked for (--insecure)", without_query(request.url)));
  }
  HttpHeaders headers = request.headers;
  if (!request.authorization.empty()) headers.push_back({"Authorization", request.authorization});
  // Only a file is worth asking first whether it is wanted here or elsewhere: the question may cost a second.
  if (!request.body.empty()) headers.push_back({"Expect", ""});
  const std::unique_ptr<CurlRequest> curl = make_curl_request(settings_, url.text, headers);
  Exchange exchange{.request = request, .curl = *curl};
  CURL* easy = curl->easy.get();
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &exchange);
  set_method_and_body(exchange);

  const Outcome outcome = perform(*curl, settings_, cancel);
  if (outcome.cancelled) return cancelled("cancelled");
  if (outcome.stalled) {
    return internal(fmt::format("{}: no answer for {} ms", url.host_and_port(), settings_.stall_timeout.count()));
  }
  if (exchange.too_long) {
    return resource_exhausted(
        fmt::format("{}: the answer is longer than {} bytes", without_query(url.text), request.max_body_bytes));
  }
  if (!exchange.read_error.empty()) return internal(exchange.read_error);
  if (outcome.code != CURLE_OK && !exchange.hung_up) {
    std::string line = fmt::format("{}: {}", url.host_and_port(), curl->reason(outcome.code));
    return is_passing_failure(outcome.code) ? internal(std::move(line)) : invalid_argument(std::move(line));
  }
  return HttpReply{.status = curl->status(),
                   .headers = std::move(curl->reply_headers),
                   .body = std::move(exchange.body),
                   .url = url.text};
}

Result<HttpReply> HttpClient::send(const HttpRequest& request, const CancelToken& cancel) const {
  const bool may_follow = request.method == "GET" || request.method == "HEAD";
  HttpRequest hop = request;
  HttpHeaders first_headers;
  for (int num_hops = 0;; ++num_hops) {
    auto reply = send_once(hop, cancel);
    if (!reply.ok() || !may_follow || !is_redirect(reply->status)) {
      if (reply.ok()) reply->first_headers = num_hops == 0 ? reply->headers : std::move(first_headers);
      return reply;
    }
    if (num_hops == 0) first_headers = reply->headers;
    const std::string* location = find_header(reply->headers, "Location");
    if (location == nullptr || num_hops >= request.max_redirects) {
      return corrupt(fmt::format("{}: {}", without_query(request.url),
                                 location == nullptr ? "a redirect without an address" : "too many redirects"));
    }
    MLXR_ASSIGN_OR_RETURN(const Url from, parse_url(hop.url));
    MLXR_ASSIGN_OR_RETURN(const Url next, resolve_url(reply->url, *location));
    if (!from.same_origin(next)) hop.authorization.clear();
    hop.url = next.text;
  }
}

Result<HttpReply> HttpClient::send_with_retries(const HttpRequest& request, const CancelToken& cancel) const {
  for (int num_failed = 1;; ++num_failed) {
    auto reply = send(request, cancel);
    const bool failed = reply.ok() ? is_passing_failure(reply->status) : reply.status().code() == StatusCode::kInternal;
    if (!failed || num_failed >= settings_.max_tries) return reply;
    auto wait = settings_.backoff(num_failed);
    if (reply.ok()) wait = std::max(wait, retry_after(reply->headers).value_or(wait));
    if (!cancel.wait_for(wait)) return cancelled("cancelled");
  }
}

}  // namespace mlxr
