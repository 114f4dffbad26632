#include "daemon/http/response_head.h"

#include <algorithm>
#include <array>

#include <fmt/core.h>

namespace mlxr::http {
namespace {

constexpr std::array<std::string_view, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::array<std::string_view, 6> kServerFields = {
    "content-length", "transfer-encoding", "connection", "keep-alive", "date", "x-request-id"};

bool is_server_field(std::string_view name) {
  std::string lower(name);
  std::ranges::transform(lower, lower.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return std::ranges::find(kServerFields, lower) != kServerFields.end() || lower.starts_with("access-control-");
}

bool is_token(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ");
  for (const char c : value)
    out += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? ' ' : c;
  out += "\r\n";
}

}  // namespace

std::string http_date(std::time_t time) {
  std::tm tm{};
  gmtime_r(&time, &tm);
  return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT", kDays[static_cast<std::size_t>(tm.tm_wday)], tm.tm_mday,
                     kMonths[static_cast<std::size_t>(tm.tm_mon)], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

bool status_has_body(int status) {
  return status >= 200 && status != 204 && status != 304;
}

std::string format_head(const HeadParts& parts) {
  std::string out;
  out.reserve(256);
  out += fmt::format("HTTP/1.1 {} {}\r\n", parts.status, reason_phrase(parts.status));
  if (!parts.date.empty()) append_field(out, "Date", parts.date);
  if (parts.fields != nullptr) {
    for (const auto& [name, value] : parts.fields->entries()) {
      if (is_token(name) && !is_server_field(name)) append_field(out, name, value);
    }
  }
  if (parts.more != nullptr) {
    for (const auto& [name, value] : parts.more->entries())
      append_field(out, name, value);
  }
  if (!parts.request_id.empty()) append_field(out, "X-Request-Id", parts.request_id);
  if (parts.framing == BodyFraming::kLength) out += fmt::format("Content-Length: {}\r\n", parts.length);
  if (parts.framing == BodyFraming::kChunked) out += "Transfer-Encoding: chunked\r\n";
  if (!parts.keep_alive) {
    out += "Connection: close\r\n";
  } else if (!parts.http11) {
    out += "Connection: keep-alive\r\n";
  }
  out += "\r\n";
  return out;
}

}  // namespace mlxr::http
