// Filters over numbers. Source: Jinja 3.1's builtin filters.

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>

#include <fmt/core.h>

#include "core/runtime/template/arithmetic.h"
#include "core/runtime/template/builtin.h"
#include "core/runtime/template/interpreter.h"
#include "core/runtime/template/printing.h"
#include "core/runtime/template/text.h"

namespace mlxr::jinja {
namespace {

// Python's float("..."): white space around, underscores between digits.
std::optional<double> parse_float(std::string_view text) {
  std::string digits(strip_space(text, Side::kBoth));
  std::erase(digits, '_');
  const bool plus = !digits.empty() && digits[0] == '+';
  double value = 0;
  const char* begin = digits.data() + (plus ? 1 : 0);
  const char* end = digits.data() + digits.size();
  const auto parsed = std::from_chars(begin, end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end || begin == end) return std::nullopt;
  return value;
}

// Python's int("...", base); base 0 reads the prefix.
std::optional<Integer> parse_integer(std::string_view text, std::int64_t base) {
  std::string digits = lower(strip_space(text, Side::kBoth));
  const bool negative = !digits.empty() && digits[0] == '-';
  if (!digits.empty() && (digits[0] == '-' || digits[0] == '+')) digits.erase(0, 1);
  const std::string prefix = digits.substr(0, 2);
  const std::int64_t named_base = prefix == "0x" ? 16 : prefix == "0o" ? 8 : prefix == "0b" ? 2 : 0;
  if (named_base != 0 && (base == 0 || base == named_base)) {
    base = named_base;
    digits.erase(0, 2);
  }
  if (base == 0) base = 10;
  if (base < 2 || base > 36 || digits.empty() || digits.front() == '_' || digits.back() == '_') return std::nullopt;
  Integer value = 0;
  for (const char c : digits) {
    if (c == '_') continue;
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'z' ? c - 'a' + 10 : 99;
    if (digit >= base || __builtin_mul_overflow(value, static_cast<Integer>(base), &value) ||
        __builtin_add_overflow(value, static_cast<Integer>(digit), &value)) {
      return std::nullopt;
    }
  }
  return negative ? -value : value;
}

std::optional<Integer> truncated(double value) {
  if (!(std::fabs(value) < 0x1p126)) return std::nullopt;
  return static_cast<Integer>(value);
}

Result<Value> filter_int(Call& call) {
  if (call.self.is_undefined()) return call.self.complaint();
  const Value fallback = call.has(0) ? call.at(0) : Value::integer(static_cast<Integer>(0));
  MLXR_ASSIGN_OR_RETURN(const std::int64_t base, call.integer(1, 10));
  const Value& value = call.self;
  std::optional<Integer> result;
  if (value.is_integral()) result = value.as_integer();
  if (value.kind() == Kind::kFloat) result = truncated(value.as_number());
  if (value.is_text()) {
    result = parse_integer(value.as_text(), base);
    if (!result) {
      const std::optional<double> number = parse_float(value.as_text());
      if (number) result = truncated(*number);
    }
  }
  return result ? Value::integer(*result) : fallback;
}

Result<Value> filter_float(Call& call) {
  if (call.self.is_undefined()) return call.self.complaint();
  const Value fallback = call.has(0) ? call.at(0) : Value::number(0.0);
  if (call.self.is_numeric()) return Value::number(call.self.as_number());
  if (!call.self.is_text()) return fallback;
  const std::optional<double> number = parse_float(call.self.as_text());
  return number ? Value::number(*number) : fallback;
}

Result<Value> filter_abs(Call& call) {
  if (call.self.is_undefined()) return call.self.complaint();
  if (!call.self.is_numeric()) {
    return invalid_argument(fmt::format("bad operand type for abs(): '{}'", call.self.type_name()));
  }
  if (call.self.is_integral() && call.self.as_integer() >= 0) return Value::integer(call.self.as_integer());
  if (call.self.is_integral()) return negate(call.self);
  return Value::number(std::fabs(call.self.as_number()));
}

Result<Value> filter_round(Call& call) {
  constexpr std::int64_t kMostDigits = 300;
  MLXR_ASSIGN_OR_RETURN(const std::int64_t precision, call.integer(0, 0));
  MLXR_ASSIGN_OR_RETURN(const std::string method, call.text(1, "common"));
  if (method != "common" && method != "ceil" && method != "floor") {
    return invalid_argument("method must be common, ceil or floor");
  }
  if (call.self.is_undefined()) return call.self.complaint();
  if (!call.self.is_numeric()) {
    return invalid_argument(fmt::format("type {} doesn't define __round__ method", call.self.type_name()));
  }
  if (method == "common" && call.self.is_integral() && precision >= 0) return Value::integer(call.self.as_integer());
  const double value = call.self.as_number();
  if (precision > kMostDigits || precision < -kMostDigits || !std::isfinite(value)) return Value::number(value);
  if (method == "common" && precision >= 0) {
    // The printed digits are rounded correctly, half to even.
    return Value::number(*parse_float(fixed_text(value, static_cast<int>(precision))));
  }
  const double scale = std::pow(10.0, static_cast<double>(precision));
  const double scaled = value * scale;
  const double rounded = method == "ceil"    ? std::ceil(scaled)
                         : method == "floor" ? std::floor(scaled)
                                             : std::nearbyint(scaled);
  if (method == "common" && call.self.is_integral()) {
    const std::optional<Integer> whole = truncated(rounded / scale);
    if (whole) return Value::integer(*whole);
  }
  return Value::number(rounded / scale);
}

Result<Value> filter_filesizeformat(Call& call) {
  static constexpr std::array<const char*, 8> kDecimal = {"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"};
  static constexpr std::array<const char*, 8> kBinary = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"};
  const bool binary = call.flag(0, false);
  const double base = binary ? 1024 : 1000;
  if (call.self.is_undefined()) return call.self.complaint();
  const std::optional<double> parsed = call.self.is_text()      ? parse_float(call.self.as_text())
                                       : call.self.is_numeric() ? std::optional(call.self.as_number())
                                                                : std::nullopt;
  if (!parsed) return invalid_argument("filesizeformat needs a number");
  const double bytes = *parsed;
  if (bytes == 1) return Value::text("1 Byte");
  if (!(bytes >= base)) return Value::text(fmt::format("{} Bytes", static_cast<std::int64_t>(std::max(bytes, -1e15))));
  std::size_t unit = 0;
  double size = bytes / base;
  while (size >= base && unit + 1 < kDecimal.size()) {
    size /= base;
    ++unit;
  }
  return Value::text(fixed_text(size, 1) + " " + (binary ? kBinary[unit] : kDecimal[unit]));
}

constexpr std::array<Builtin, 5> kFilters = {{
    {"int", "default? base?", filter_int},
    {"float", "default?", filter_float},
    {"abs", "", filter_abs},
    {"round", "precision? method?", filter_round},
    {"filesizeformat", "binary?", filter_filesizeformat},
}};

}  // namespace

std::span<const Builtin> number_filters() {
  return kFilters;
}

}  // namespace mlxr::jinja
