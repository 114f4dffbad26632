#include "daemon/settings/setting_text.h"

#include <array>
#include <cctype>
#include <charconv>
#include <cmath>

#include <fmt/core.h>

#include "core/base/utf8.h"

namespace mlxr {
namespace {

constexpr std::size_t kMaxTextBytes = 16384;
constexpr std::size_t kMaxItems = 1024;
constexpr double kMaxDurationMs = 1e6 * 3600e3;  // a million hours

std::string_view trim(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && blank(text.front()))
    text.remove_prefix(1);
  while (!text.empty() && blank(text.back()))
    text.remove_suffix(1);
  return text;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

// As much of a wrong text as an error line should show.
std::string shown(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 60))
    out += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c;
  out.resize(valid_utf8_prefix(out));
  return text.size() > 60 ? out + "..." : out;
}

template <class Number>
bool parse_whole(std::string_view text, Number& value) {
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

// A decimal number at the beginning, which is taken off.
bool take_number(std::string_view& text, double& value) {
  const std::size_t length = std::min(text.find_first_not_of("0123456789."), text.size());
  if (length == 0 || !parse_whole(text.substr(0, length), value)) return false;
  text.remove_prefix(length);
  return std::isfinite(value);
}

Status check_characters(std::string_view text) {
  if (text.size() > kMaxTextBytes) return invalid_argument(fmt::format("is longer than {} bytes", kMaxTextBytes));
  if (!is_valid_utf8(text)) return invalid_argument("is not valid UTF-8");
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) return invalid_argument("holds a control character");
  }
  return {};
}

struct ByteUnit {
  std::string_view name;
  double bytes;
};
constexpr double kKi = 1024.0;
constexpr std::array<ByteUnit, 16> kByteUnits = {{{"", 1},
                                                  {"b", 1},
                                                  {"k", kKi},
                                                  {"m", kKi* kKi},
                                                  {"g", kKi* kKi* kKi},
                                                  {"t", kKi* kKi* kKi* kKi},
                                                  {"kib", kKi},
                                                  {"mib", kKi* kKi},
                                                  {"gib", kKi* kKi* kKi},
                                                  {"tib", kKi* kKi* kKi* kKi},
                                                  {"kb", 1e3},
                                                  {"mb", 1e6},
                                                  {"gb", 1e9},
                                                  {"tb", 1e12},
                                                  {"pb", 1e15},
                                                  {"pib", kKi* kKi* kKi* kKi* kKi}}};

struct TimeUnit {
  std::string_view name;
  double ms;
};
constexpr std::array<TimeUnit, 7> kTimeUnits = {
    {{"ms", 1}, {"us", 1e-3}, {"\xC2\xB5s", 1e-3}, {"ns", 1e-6}, {"s", 1e3}, {"m", 60e3}, {"h", 3600e3}}};

Status not_a_duration(std::string_view text) {
  return invalid_argument(fmt::format("\"{}\" is not a duration, such as 30s, 5m, 1h30m or -1 for ever", shown(text)));
}

}  // namespace

Result<Duration> parse_duration(std::string_view whole) {
  std::string_view text = trim(whole);
  const bool negative = !text.empty() && text.front() == '-';
  if (negative) text.remove_prefix(1);
  double total_ms = 0.0;
  double number = 0.0;
  double plain = 0.0;
  if (!text.empty() && text.find_first_not_of("0123456789.") == std::string_view::npos && parse_whole(text, plain)) {
    total_ms = plain * 1e3;
    text = {};
  } else if (text.empty()) {
    return not_a_duration(whole);
  }
  while (!text.empty()) {
    if (!take_number(text, number)) return not_a_duration(whole);
    const std::size_t length = std::min(text.find_first_of("0123456789."), text.size());
    const std::string_view name = text.substr(0, length);
    const TimeUnit* found = nullptr;
    for (const TimeUnit& unit : kTimeUnits) {
      if (unit.name == name) found = &unit;
    }
    if (found == nullptr) return not_a_duration(whole);
    total_ms += number * found->ms;
    text.remove_prefix(length);
  }
  if (!(total_ms <= kMaxDurationMs)) return invalid_argument(fmt::format("\"{}\" is too long a time", shown(whole)));
  if (negative && total_ms > 0) return kForever;
  return Duration(static_cast<std::int64_t>(std::llround(total_ms)));
}

std::string duration_text(Duration duration) {
  std::int64_t ms = duration.count();
  if (ms < 0) return "-1";
  if (ms == 0) return "0s";
  std::string out;
  const auto part = [&](std::int64_t unit_ms, const char* name) {
    if (ms >= unit_ms) out += fmt::format("{}{}", ms / unit_ms, name);
    ms %= unit_ms;
  };
  part(3600000, "h");
  part(60000, "m");
  part(1000, "s");
  part(1, "ms");
  return out;
}

Result<Bytes> parse_bytes(std::string_view whole) {
  const auto wrong = [&] {
    return invalid_argument(fmt::format("\"{}\" is not a number of bytes, such as 8GiB, 512MB or 4096", shown(whole)));
  };
  std::string_view text = trim(whole);
  std::uint64_t exact = 0;
  if (parse_whole(text, exact)) return exact;
  double number = 0.0;
  if (!take_number(text, number)) return wrong();
  const std::string name = lower(trim(text));
  for (const ByteUnit& unit : kByteUnits) {
    if (unit.name != name) continue;
    const double bytes = std::round(number * unit.bytes);
    if (bytes > 9e18) return invalid_argument(fmt::format("\"{}\" is more than there can be", shown(whole)));
    return static_cast<Bytes>(bytes);
  }
  return wrong();
}

std::string bytes_text(Bytes bytes) {
  static constexpr std::array<const char*, 5> kNames = {"", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (bytes != 0 && bytes % 1024 == 0 && unit + 1 < kNames.size()) {
    bytes /= 1024;
    ++unit;
  }
  return fmt::format("{}{}", bytes, kNames[unit]);
}

namespace setting_text_detail {

Status from_text(std::string_view text, bool& value) {
  const std::string word = lower(trim(text));
  const bool yes = word == "true" || word == "on" || word == "yes" || word == "1";
  if (!yes && word != "false" && word != "off" && word != "no" && word != "0") {
    return invalid_argument(fmt::format("\"{}\" is neither true nor false", shown(text)));
  }
  value = yes;
  return {};
}

Status from_text(std::string_view text, std::int64_t& value) {
  std::int64_t parsed = 0;
  if (!parse_whole(trim(text), parsed)) {
    return invalid_argument(fmt::format("\"{}\" is not a whole number", shown(text)));
  }
  value = parsed;
  return {};
}

Status from_text(std::string_view text, double& value) {
  double parsed = 0.0;
  if (!parse_whole(trim(text), parsed) || !std::isfinite(parsed)) {
    return invalid_argument(fmt::format("\"{}\" is not a number", shown(text)));
  }
  value = parsed;
  return {};
}

Status from_text(std::string_view text, std::string& value) {
  MLXR_RETURN_IF_ERROR(check_characters(text));
  value = std::string(text);
  return {};
}

Status from_text(std::string_view text, TextList& value) {
  MLXR_RETURN_IF_ERROR(check_characters(text));
  TextList items;
  while (!trim(text).empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const std::string_view item = trim(text.substr(0, comma));
    if (item.empty()) return invalid_argument("a list has an empty item");
    if (items.size() == kMaxItems) return invalid_argument(fmt::format("a list has more than {} items", kMaxItems));
    items.emplace_back(item);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  value = std::move(items);
  return {};
}

Status from_text(std::string_view text, Bytes& value) {
  MLXR_ASSIGN_OR_RETURN(value, parse_bytes(text));
  return {};
}

Status from_text(std::string_view text, Duration& value) {
  MLXR_ASSIGN_OR_RETURN(value, parse_duration(text));
  return {};
}

Status from_text(std::string_view text, Weights& value) {
  TextList items;
  MLXR_RETURN_IF_ERROR(from_text(text, items));
  Weights weights;
  for (const std::string& item : items) {
    const std::size_t colon = item.rfind(':');
    if (colon == std::string::npos) return invalid_argument(fmt::format("\"{}\" is not NAME: WEIGHT", shown(item)));
    const std::string name(trim(std::string_view(item).substr(0, colon)));
    if (name.empty()) return invalid_argument(fmt::format("\"{}\" is not NAME: WEIGHT", shown(item)));
    double weight = 0.0;
    MLXR_RETURN_IF_ERROR(from_text(std::string_view(item).substr(colon + 1), weight));
    if (!weights.emplace(name, weight).second)
      return invalid_argument(fmt::format("\"{}\" is given twice", shown(name)));
  }
  value = std::move(weights);
  return {};
}

std::string to_text(bool value) {
  return value ? "true" : "false";
}
std::string to_text(std::int64_t value) {
  return std::to_string(value);
}
std::string to_text(double value) {
  return fmt::format("{}", value);
}
std::string to_text(const std::string& value) {
  return value;
}
std::string to_text(const TextList& value) {
  std::string out;
  for (const std::string& item : value)
    out += (out.empty() ? "" : ", ") + item;
  return out;
}
std::string to_text(Bytes value) {
  return bytes_text(value);
}
std::string to_text(Duration value) {
  return duration_text(value);
}
std::string to_text(const Weights& value) {
  std::string out;
  for (const auto& [name, weight] : value)
    out += fmt::format("{}{}: {}", out.empty() ? "" : ", ", name, weight);
  return out;
}

}  // namespace setting_text_detail
}  // namespace mlxr
