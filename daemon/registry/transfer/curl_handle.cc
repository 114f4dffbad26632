#include "daemon/registry/transfer/curl_handle.h"

#include <cstring>
#include <mutex>
#include <string_view>

#include "core/base/check.h"

namespace mlxr {
namespace {

constexpr std::size_t kMaxHeaders = 200;
constexpr std::size_t kMaxHeaderBytes = 16 << 10;

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* user) {
  auto& headers = static_cast<CurlRequest*>(user)->reply_headers;
  const std::string_view line(data, size * count);
  if (line.starts_with("HTTP/")) {
    headers.clear();
  } else if (const auto colon = line.find(':'); colon != std::string_view::npos) {
    if (headers.size() >= kMaxHeaders || line.size() > kMaxHeaderBytes) return 0;
    headers.push_back({std::string(trimmed(line.substr(0, colon))), std::string(trimmed(line.substr(colon + 1)))});
  }
  return line.size();
}

void initialise_library() {
  static std::once_flag once;
  std::call_once(once, [] { MLXR_CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK, "libcurl does not start"); });
}

}  // namespace

int CurlRequest::status() const {
  long code = 0;
  curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &code);
  return static_cast<int>(code);
}

std::string CurlRequest::reason(CURLcode code) const {
  const std::string_view detail = trimmed(std::string_view(error.data(), std::strlen(error.data())));
  return std::string(detail.empty() ? std::string_view(curl_easy_strerror(code)) : detail);
}

CurlMulti make_curl_multi() {
  initialise_library();
  CurlMulti multi(curl_multi_init());
  MLXR_CHECK(multi != nullptr, "out of memory");
  // Parts that share one connection gain nothing: each gets its own.
  curl_multi_setopt(multi.get(), CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
  return multi;
}

std::unique_ptr<CurlRequest> make_curl_request(const HttpSettings& settings, const std::string& url,
                                               const HttpHeaders& headers) {
  initialise_library();
  auto request = std::make_unique<CurlRequest>();
  request->easy.reset(curl_easy_init());
  CURL* easy = request->easy.get();
  MLXR_CHECK(easy != nullptr, "out of memory");
  for (const HttpHeader& header : headers) {
    // An empty value takes a header of libcurl's own away.
    const std::string line = header.name + ": " + header.value;
    curl_slist* longer = curl_slist_append(request->headers.get(), line.c_str());
    MLXR_CHECK(longer != nullptr, "out of memory");
    (void)request->headers.release();
    request->headers.reset(longer);
  }
  const char* const protocols = settings.insecure ? "http,https" : "https";
  curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, request->headers.get());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, protocols);
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(settings.connect_timeout.count()));
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "mlxr/0.1");
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->error.data());
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &on_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, request.get());
  if (!settings.ca_file.empty()) curl_easy_setopt(easy, CURLOPT_CAINFO, settings.ca_file.c_str());
  if (settings.insecure) {
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
  }
  return request;
}

bool is_passing_failure(CURLcode code) {
  switch (code) {
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_ENGINE_NOTFOUND:
      return false;
    default:
      return true;
  }
}

}  // namespace mlxr
