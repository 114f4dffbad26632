#include "cli/times.h"

#include <array>
#include <cctype>
#include <cstdlib>
#include <ctime>

#include <fmt/core.h>

namespace mlxr::cli {
namespace {

struct Unit {
  const char* name;
  std::int64_t seconds;
};

constexpr std::int64_t kDay = 86400;
constexpr std::array<Unit, 6> kUnits = {{
    {"second", 1},
    {"minute", 60},
    {"hour", 3600},
    {"day", kDay},
    {"week", 7 * kDay},
    {"month", 30 * kDay},
}};

}  // namespace

std::string relative_time(std::int64_t time, std::int64_t now) {
  const std::int64_t distance = std::llabs(now - time);
  if (distance == 0) return "now";
  Unit unit = kUnits[0];
  for (const Unit& each : kUnits) {
    // "14 days" says more than "2 weeks".
    if (distance >= (each.seconds > kDay ? 2 : 1) * each.seconds) unit = each;
  }
  const std::int64_t count = distance / unit.seconds;
  const std::string text = fmt::format("{} {}{}", count, unit.name, count == 1 ? "" : "s");
  return time > now ? "in " + text : text + " ago";
}

std::optional<std::int64_t> parse_time(std::string_view text) {
  const std::string copy(text);
  std::tm parts = {};
  const char* rest = ::strptime(copy.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr) return std::nullopt;
  const std::int64_t utc = ::timegm(&parts);
  if (*rest == '.') {
    ++rest;
    while (std::isdigit(static_cast<unsigned char>(*rest)) != 0)
      ++rest;
  }
  if (*rest == 'Z' || *rest == 'z') return rest[1] == '\0' ? std::optional(utc) : std::nullopt;
  if (*rest != '+' && *rest != '-') return std::nullopt;
  std::tm zone = {};
  const char* end = ::strptime(rest + 1, "%H:%M", &zone);
  if (end == nullptr || *end != '\0') return std::nullopt;
  const std::int64_t offset = zone.tm_hour * 3600 + zone.tm_min * 60;
  return *rest == '+' ? utc - offset : utc + offset;
}

}  // namespace mlxr::cli
