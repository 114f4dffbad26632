#pragma once
// Which names a server may be called by, and from which web pages.

#include <string>
#include <string_view>
#include <vector>

namespace mlxr::http {

// The host of a Host field or of an authority, without port and brackets, in lower case; empty when it is malformed.
std::string host_of(std::string_view authority);

// ServerOptions::allowed_hosts. `bound` is the address of the listener: one that means all addresses lets any literal
// address through, which no other site can make its own. A rule is a name, "*.name" for names below it, or "*".
bool host_allowed(std::string_view host_field, const std::vector<std::string>& allowed, std::string_view bound);

// ServerOptions::allowed_origins. "*" in a rule stands for the whole origin, for the port ("http://localhost:*", with
// or without one) or for a host ("app://*").
bool origin_allowed(std::string_view origin, const std::vector<std::string>& allowed);

// The origin of a page that the server itself has sent.
bool same_origin(std::string_view origin, std::string_view host_field, bool tls);

}  // namespace mlxr::http
