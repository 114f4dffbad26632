#include "daemon/http/origin_rules.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

namespace mlxr::http {
namespace {

std::string to_lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

bool all_digits(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

struct Address {
  bool literal = false;
  bool loopback = false;
  bool any = false;
  unsigned char bytes[16] = {};  // IPv4 mapped into IPv6
  bool operator==(const Address& other) const { return std::memcmp(bytes, other.bytes, sizeof bytes) == 0; }
};

Address parse_address(std::string_view text) {
  Address address;
  const std::string host(text);
  unsigned char v4[4];
  unsigned char* bytes = address.bytes;
  if (inet_pton(AF_INET, host.c_str(), v4) == 1) {
    bytes[10] = bytes[11] = 0xFF;
    std::memcpy(bytes + 12, v4, sizeof v4);
  } else if (inet_pton(AF_INET6, host.c_str(), bytes) != 1) {
    return address;
  }
  address.literal = true;
  const bool zero12 = std::all_of(bytes, bytes + 10, [](unsigned char b) { return b == 0; });
  const bool mapped = zero12 && bytes[10] == 0xFF && bytes[11] == 0xFF;
  const bool rest_zero = std::all_of(bytes + 12, bytes + 15, [](unsigned char b) { return b == 0; });
  const bool v6_low = zero12 && bytes[10] == 0 && bytes[11] == 0 && rest_zero;
  address.loopback = mapped ? bytes[12] == 127 : v6_low && bytes[15] == 1;
  address.any = (mapped || v6_low) && rest_zero && bytes[15] == 0;
  return address;
}

}  // namespace

std::string host_of(std::string_view authority) {
  std::string_view host = authority;
  std::string_view port;
  if (host.starts_with('[')) {
    const std::size_t end = host.find(']');
    if (end == std::string_view::npos) return "";
    port = host.substr(end + 1);
    host = host.substr(1, end - 1);
    if (!parse_address(host).literal) return "";
  } else {
    const std::size_t colon = std::min(host.find(':'), host.size());
    port = host.substr(colon);
    host = host.substr(0, colon);
  }
  if (!port.empty() && (port.front() != ':' || !all_digits(port.substr(1)) || port.size() > 6)) return "";
  const auto proper = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == ':';
  };
  if (!std::ranges::all_of(host, proper)) return "";
  if (host.ends_with('.')) host.remove_suffix(1);
  return to_lower(host);
}

bool host_allowed(std::string_view host_field, const std::vector<std::string>& allowed, std::string_view bound) {
  const std::string host = host_of(host_field);
  if (host.empty()) return false;
  if (!allowed.empty()) {
    return std::ranges::any_of(allowed, [&](const std::string& rule) {
      if (rule == "*") return true;
      if (rule.starts_with("*.")) return host.size() >= rule.size() && host.ends_with(to_lower(rule.substr(1)));
      return host == host_of(rule);
    });
  }
  if (host == "localhost" || host.ends_with(".localhost")) return true;
  const Address address = parse_address(host);
  if (!address.literal) return false;
  const Address listener = parse_address(bound);
  return address.loopback || listener.any || (listener.literal && address == listener);
}

bool origin_allowed(std::string_view origin, const std::vector<std::string>& allowed) {
  const std::string wanted = to_lower(origin);
  return std::ranges::any_of(allowed, [&](const std::string& given) {
    std::string rule = to_lower(given);
    if (rule == "*" || rule == wanted) return true;
    if (rule.ends_with(":*")) {
      rule.resize(rule.size() - 2);
      if (!wanted.starts_with(rule)) return false;
      const std::string_view port = std::string_view(wanted).substr(rule.size());
      return port.empty() || (port.size() > 1 && port.size() <= 6 && port.front() == ':' && all_digits(port.substr(1)));
    }
    if (rule.ends_with("://*")) {
      rule.pop_back();
      return wanted.starts_with(rule) && wanted.find('/', rule.size()) == std::string::npos;
    }
    return false;
  });
}

bool same_origin(std::string_view origin, std::string_view host_field, bool tls) {
  return !host_field.empty() && to_lower(origin) == (tls ? "https://" : "http://") + to_lower(host_field);
}

}  // namespace mlxr::http
