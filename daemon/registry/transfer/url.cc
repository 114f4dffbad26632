#include "daemon/registry/transfer/url.h"

#include <curl/curl.h>

#include <memory>

#include <fmt/core.h>

namespace mlxr {
namespace {

using UrlHandle = std::unique_ptr<CURLU, decltype(&curl_url_cleanup)>;

std::string part_of(CURLU* url, CURLUPart part, unsigned flags) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK || text == nullptr) return {};
  std::string result(text);
  curl_free(text);
  return result;
}

std::string lower_case(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

Result<Url> describe(CURLU* handle, const std::string& text) {
  Url url;
  url.scheme = lower_case(part_of(handle, CURLUPART_SCHEME, 0));
  url.host = lower_case(part_of(handle, CURLUPART_HOST, 0));
  url.port = part_of(handle, CURLUPART_PORT, CURLU_DEFAULT_PORT);
  url.text = part_of(handle, CURLUPART_URL, 0);
  if (url.scheme != "http" && url.scheme != "https") {
    return invalid_argument(fmt::format("\"{}\" is no http or https address", without_query(text)));
  }
  if (url.host.empty() || url.text.empty() || !part_of(handle, CURLUPART_USER, 0).empty()) {
    return invalid_argument(fmt::format("\"{}\" is no usable address", without_query(text)));
  }
  return url;
}

}  // namespace

std::string Url::host_and_port() const {
  const bool is_default = (scheme == "https" && port == "443") || (scheme == "http" && port == "80");
  return is_default ? host : host + ":" + port;
}

Result<Url> parse_url(const std::string& text) {
  const UrlHandle handle(curl_url(), &curl_url_cleanup);
  if (handle == nullptr) return resource_exhausted("no memory for an address");
  if (curl_url_set(handle.get(), CURLUPART_URL, text.c_str(), CURLU_URLENCODE) != CURLUE_OK) {
    return invalid_argument(fmt::format("\"{}\" is no usable address", without_query(text)));
  }
  return describe(handle.get(), text);
}

Result<Url> resolve_url(const std::string& base, const std::string& location) {
  const UrlHandle handle(curl_url(), &curl_url_cleanup);
  if (handle == nullptr) return resource_exhausted("no memory for an address");
  // A set of a relative reference on a handle that has an address resolves it, as RFC 3986 says.
  if (curl_url_set(handle.get(), CURLUPART_URL, base.c_str(), 0) != CURLUE_OK ||
      curl_url_set(handle.get(), CURLUPART_URL, location.c_str(), CURLU_URLENCODE) != CURLUE_OK) {
    return invalid_argument(fmt::format("{} redirects to something unusable", without_query(base)));
  }
  return describe(handle.get(), location);
}

std::string percent_encode(std::string_view text, bool keep_slashes) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string result;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~' || (keep_slashes && c == '/');
    if (plain) {
      result += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    result += '%';
    result += kHex[byte >> 4];
    result += kHex[byte & 15];
  }
  return result;
}

std::string with_query(const std::string& url, std::string_view name, std::string_view value) {
  const char separator = url.find('?') == std::string::npos ? '?' : '&';
  return fmt::format("{}{}{}={}", url, separator, percent_encode(name), percent_encode(value));
}

std::string without_query(const std::string& url) {
  return url.substr(0, url.find_first_of("?#"));
}

}  // namespace mlxr
