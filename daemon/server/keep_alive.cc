#include "daemon/server/keep_alive.h"

#include <array>
#include <charconv>
#include <cmath>
#include <string>
#include <utility>

#include <fmt/core.h>

namespace mlxr::server {
namespace {

// Of Go's time.Duration, in milliseconds.
constexpr double kMaxMs = 9.2e12;

Status bad_duration(std::string_view text) {
  return invalid_argument(
      fmt::format("must be a duration such as \"10m\" or \"1h30m\", or a number of seconds; it is {}",
                  describe_json(Json(std::string(text)))));
}

// Takes "30m" off the front of `text`; its milliseconds, or a negative number for what is none.
double take_part(std::string_view& text) {
  static constexpr std::array<std::pair<std::string_view, double>, 7> kUnits = {
      {{"ns", 1e-6}, {"us", 1e-3}, {"\xc2\xb5s", 1e-3}, {"ms", 1.0}, {"s", 1e3}, {"m", 6e4}, {"h", 3.6e6}}};
  double number = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc() || !(number >= 0.0)) return -1.0;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  for (const auto& [unit, ms] : kUnits) {
    if (!text.starts_with(unit)) continue;
    text.remove_prefix(unit.size());
    return number * ms;
  }
  return -1.0;
}

}  // namespace

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  std::string_view rest = text;
  double sign = 1.0;
  if (!rest.empty() && (rest.front() == '-' || rest.front() == '+')) {
    sign = rest.front() == '-' ? -1.0 : 1.0;
    rest.remove_prefix(1);
  }
  if (rest == "0") return std::chrono::milliseconds(0);
  if (rest.empty()) return bad_duration(text);
  double total = 0.0;
  while (!rest.empty()) {
    if (rest.front() == '-') return bad_duration(text);
    const double part = take_part(rest);
    if (part < 0.0) return bad_duration(text);
    total += part;
  }
  if (!(total <= kMaxMs)) return bad_duration(text);
  return std::chrono::milliseconds(static_cast<std::int64_t>(std::ceil(total) * sign));
}

void read_keep_alive(JsonFields& fields, CallOptions& options) {
  const Json* value = fields.any("keep_alive");
  if (value == nullptr) return;
  if (value->is_number()) {
    const double ms = std::ceil(value->get<double>() * 1000.0);
    if (ms > kMaxMs) {
      fields.invalid("keep_alive", fmt::format("is too long: {}", describe_json(*value)));
    } else {
      options.keep_alive = std::chrono::milliseconds(ms < 0.0 ? -1 : static_cast<std::int64_t>(ms));
    }
    return;
  }
  if (!value->is_string()) {
    fields.invalid("keep_alive",
                   fmt::format("must be a duration or a number of seconds; it is {}", describe_json(*value)));
    return;
  }
  const Result<std::chrono::milliseconds> parsed = parse_duration(value->get_ref<const std::string&>());
  if (parsed.ok()) {
    options.keep_alive = *parsed;
  } else {
    fields.invalid("keep_alive", parsed.status().message());
  }
}

}  // namespace mlxr::server
