#include <algorithm>
#include <cctype>
#include <charconv>

#include <fmt/core.h>

#include "daemon/settings/settings.h"

namespace mlxr {
namespace {

Status not_an_address(std::string_view text) {
  return invalid_argument(
      fmt::format("\"{}\" is not off, on, a port, HOST, HOST:PORT or [IPV6]:PORT", text.substr(0, 80)));
}

bool parse_port(std::string_view text, std::uint16_t& port) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size();
}

bool all_of(std::string_view text, std::string_view more) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || more.find(c) != std::string_view::npos;
  });
}

}  // namespace

Result<std::optional<ListenAddress>> parse_listen_address(std::string_view http) {
  using Found = std::optional<ListenAddress>;
  if (http.empty() || http == "off" || http == "false" || http == "no") return Found();
  ListenAddress address{"127.0.0.1", kDefaultHttpPort};
  if (http == "on" || http == "true" || http == "yes") return Found(address);
  std::uint16_t port = 0;
  if (parse_port(http, port)) {
    address.port = port;
    return Found(address);
  }
  std::string_view host = http;
  std::string_view rest;
  const bool bracketed = http.front() == '[';
  if (bracketed) {
    const std::size_t close = http.find(']');
    if (close == std::string_view::npos) return not_an_address(http);
    host = http.substr(1, close - 1);
    rest = http.substr(close + 1);
    if (!rest.empty() && rest.front() != ':') return not_an_address(http);
  } else if (std::count(http.begin(), http.end(), ':') == 1) {
    host = http.substr(0, http.find(':'));
    rest = http.substr(http.find(':'));
  }
  if (!rest.empty() && !parse_port(rest.substr(1), address.port)) return not_an_address(http);
  const bool ipv6 = host.find(':') != std::string_view::npos;
  if (bracketed && !ipv6) return not_an_address(http);
  if (!all_of(host, ipv6 ? ":.%" : ".-_")) return not_an_address(http);
  address.host = std::string(host);
  return Found(address);
}

}  // namespace mlxr
