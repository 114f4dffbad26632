#include "core/runtime/grammar/schema_formats.h"

#include <fmt/core.h>

namespace mlxr::grammar {
namespace {

std::string date() {
  return R"((?:\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|02-(?:0[1-9]|1\d|2[0-8])))"
         R"(|(?:\d\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29))";
}

std::string time() {
  return R"((?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:[zZ]|[+-](?:[01]\d|2[0-3]):[0-5]\d))";
}

std::string duration() {
  const std::string clock = R"(T(?:\d+H(?:\d+M(?:\d+S)?)?|\d+M(?:\d+S)?|\d+S))";
  return fmt::format(R"(P(?:\d+W|(?:\d+Y(?:\d+M(?:\d+D)?)?|\d+M(?:\d+D)?|\d+D)(?:{0})?|{0}))", clock);
}

std::string ipv4() {
  const std::string octet = R"((?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d))";
  return fmt::format(R"({0}\.{0}\.{0}\.{0})", octet);
}

std::string ipv6() {
  const std::string group = "[0-9A-Fa-f]{1,4}";
  const std::string last = fmt::format("(?:{0}:{0}|{1})", group, ipv4());
  std::string out = fmt::format("(?:{}:){{6}}{}", group, last);
  // :: stands for at least one group: n groups before it, at most 7 - n behind.
  for (int before = 0; before <= 7; ++before) {
    const std::string head = before == 0 ? "" : fmt::format("{0}(?::{0}){{{1}}}", group, before - 1);
    for (int behind = 0; before + behind <= 7; ++behind) {
      std::string tail;
      if (behind == 1) tail = group;
      if (behind >= 2) tail = fmt::format("(?:{}:){{{}}}{}", group, behind - 2, last);
      out += "|" + head + "::" + tail;
    }
  }
  return "(?:" + out + ")";
}

std::string hostname() {
  return R"((?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*))";
}

std::string email() {
  const std::string atom = R"([A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)";
  return atom + R"((?:\.)" + atom + ")*@" + hostname();
}

std::string uri() {
  const std::string unit = R"((?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2}))";
  const std::string segment = fmt::format("(?:{}|[:@])", unit);
  const std::string authority = fmt::format(R"((?:(?:{0}|:)*@)?(?:{0}*|\[{1}\])(?::\d*)?)", unit, ipv6());
  const std::string path = fmt::format("(?://{0}(?:/{1}*)*|/(?:{1}+(?:/{1}*)*)?|{1}+(?:/{1}*)*|)", authority, segment);
  return fmt::format(R"([A-Za-z][A-Za-z0-9+.\-]*:{0}(?:\?(?:{1}|[/?])*)?(?:#(?:{1}|[/?])*)?)", path, segment);
}

struct Format {
  std::string_view name;
  std::string (*expression)();
};

constexpr Format kFormats[] = {
    {"date", date},
    {"time", time},
    {"date-time", [] { return date() + "[tT]" + time(); }},
    {"duration", duration},
    {"uuid", [] { return std::string(R"([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})"); }},
    {"ipv4", ipv4},
    {"ipv6", ipv6},
    {"hostname", hostname},
    {"email", email},
    {"uri", uri},
};

}  // namespace

std::optional<std::string> format_expression(std::string_view format) {
  for (const Format& known : kFormats)
    if (known.name == format) return known.expression();
  return std::nullopt;
}

}  // namespace mlxr::grammar
