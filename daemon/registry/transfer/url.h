#pragma once
// The few things that are done with URLs. Any thread.

#include <string>
#include <string_view>

#include "core/base/status.h"

namespace mlxr {

struct Url {
  std::string scheme;  // "http" or "https"
  std::string host;    // lower case
  std::string port;    // always there
  std::string text;    // the whole, normalised

  bool same_origin(const Url& other) const {
    return scheme == other.scheme && host == other.host && port == other.port;
  }
  // "host" or "host:port", as manifests' paths and people write it.
  std::string host_and_port() const;
};

// kInvalidArgument for what is no absolute http(s) URL, or has a user name in it.
Result<Url> parse_url(const std::string& text);
// What a Location header means in an answer from `base`.
Result<Url> resolve_url(const std::string& base, const std::string& location);

// Everything but letters, digits and "-._~" as %XX; '/' stays where `keep_slashes`.
std::string percent_encode(std::string_view text, bool keep_slashes = false);
// "url?name=value" or "url&name=value", encoded.
std::string with_query(const std::string& url, std::string_view name, std::string_view value);
// Without its query, which may hold a signature: for messages.
std::string without_query(const std::string& url);

}  // namespace mlxr
