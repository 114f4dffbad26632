#include "core/runtime/template/arithmetic.h"

#include <array>
#include <cmath>
#include <limits>

#include <fmt/core.h>

#include "core/runtime/template/formatting.h"

namespace mlxr::jinja {
namespace {

constexpr std::array<const char*, 7> kSymbols = {"+", "-", "*", "/", "//", "%", "** or pow()"};

Status mismatch(ArithmeticOp op, const Value& a, const Value& b) {
  return invalid_argument(fmt::format("unsupported operand type(s) for {}: '{}' and '{}'",
                                      kSymbols[static_cast<std::size_t>(op)], a.type_name(), b.type_name()));
}

Status too_large() {
  return unsupported("the integer is too large");
}

Integer floor_divide(Integer a, Integer b) {
  const Integer quotient = a / b;
  return quotient - (a % b != 0 && ((a < 0) != (b < 0)) ? 1 : 0);
}

// The lowest integer counts as an overflow, so that every value can be negated.
Result<Value> checked(bool overflow, Integer result) {
  constexpr Integer kLowest = -(static_cast<Integer>(1) << 126) - (static_cast<Integer>(1) << 126);
  if (overflow || result == kLowest) return too_large();
  return Value::integer(result);
}

Result<Value> integer_power(Integer base, Integer exponent) {
  if (exponent < 0) {
    if (base == 0) return invalid_argument("0.0 cannot be raised to a negative power");
    return Value::number(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  if (base == 0 || base == 1) return Value::integer(exponent == 0 ? 1 : base);
  if (base == -1) return Value::integer(exponent % 2 == 0 ? static_cast<Integer>(1) : static_cast<Integer>(-1));
  if (exponent > 127) return too_large();
  Integer result = 1;
  for (Integer i = 0; i < exponent; ++i) {
    if (__builtin_mul_overflow(result, base, &result)) return too_large();
  }
  return checked(false, result);
}

Result<Value> integers(ArithmeticOp op, Integer a, Integer b) {
  Integer result = 0;
  switch (op) {
    case ArithmeticOp::kAdd: {
      const bool overflow = __builtin_add_overflow(a, b, &result);
      return checked(overflow, result);
    }
    case ArithmeticOp::kSubtract: {
      const bool overflow = __builtin_sub_overflow(a, b, &result);
      return checked(overflow, result);
    }
    case ArithmeticOp::kMultiply: {
      const bool overflow = __builtin_mul_overflow(a, b, &result);
      return checked(overflow, result);
    }
    case ArithmeticOp::kDivide:
      if (b == 0) return invalid_argument("division by zero");
      return Value::number(static_cast<double>(a) / static_cast<double>(b));
    case ArithmeticOp::kFloorDivide:
    case ArithmeticOp::kModulo: {
      if (b == 0) return invalid_argument("integer division or modulo by zero");
      const Integer quotient = floor_divide(a, b);
      return Value::integer(op == ArithmeticOp::kModulo ? a - quotient * b : quotient);
    }
    case ArithmeticOp::kPower:
      return integer_power(a, b);
  }
  return too_large();
}

Result<Value> floats(ArithmeticOp op, double a, double b) {
  const bool divides = op == ArithmeticOp::kDivide || op == ArithmeticOp::kFloorDivide || op == ArithmeticOp::kModulo;
  if (divides && b == 0.0) return invalid_argument("float division by zero");
  switch (op) {
    case ArithmeticOp::kAdd:
      return Value::number(a + b);
    case ArithmeticOp::kSubtract:
      return Value::number(a - b);
    case ArithmeticOp::kMultiply:
      return Value::number(a * b);
    case ArithmeticOp::kDivide:
      return Value::number(a / b);
    case ArithmeticOp::kFloorDivide:
      return Value::number(std::floor(a / b));
    case ArithmeticOp::kModulo: {
      const double rest = std::fmod(a, b);
      return Value::number(rest != 0.0 && ((rest < 0) != (b < 0)) ? rest + b : rest);
    }
    case ArithmeticOp::kPower:
      return Value::number(std::pow(a, b));
  }
  return too_large();
}

Result<Value> add_texts(const Value& a, const Value& b, Budget& budget) {
  if (!a.is_markup() && !b.is_markup()) {
    MLXR_RETURN_IF_ERROR(budget.allocate(a.as_text().size() + b.as_text().size()));
    return Value::text(a.as_text() + b.as_text());
  }
  const std::string left = a.is_markup() ? a.as_text() : escape_html(a.as_text());
  const std::string right = b.is_markup() ? b.as_text() : escape_html(b.as_text());
  MLXR_RETURN_IF_ERROR(budget.allocate(left.size() + right.size()));
  return Value::markup(left + right);
}

Result<Value> add(const Value& a, const Value& b, Budget& budget) {
  if (a.is_text() && b.is_text()) return add_texts(a, b, budget);
  if (a.is_text()) {
    return invalid_argument(fmt::format("can only concatenate str (not \"{}\") to str", b.type_name()));
  }
  if ((a.is_list() && b.is_list()) || (a.is_tuple() && b.is_tuple())) {
    const auto& left = a.as_sequence().items;
    const auto& right = b.as_sequence().items;
    MLXR_RETURN_IF_ERROR(budget.allocate(left.size() + right.size(), sizeof(Value)));
    std::vector<Value> items = left;
    items.insert(items.end(), right.begin(), right.end());
    return a.is_list() ? Value::list(std::move(items)) : Value::tuple(std::move(items));
  }
  if (a.is_list() || a.is_tuple()) {
    const std::string_view name = a.is_list() ? "list" : "tuple";
    return invalid_argument(fmt::format("can only concatenate {} (not \"{}\") to {}", name, b.type_name(), name));
  }
  return mismatch(ArithmeticOp::kAdd, a, b);
}

Result<Value> repeat(const Value& value, Integer times, Budget& budget) {
  if (times < 0) times = 0;
  if (times > std::numeric_limits<std::int32_t>::max()) return resource_exhausted("the template needs too much memory");
  const auto count = static_cast<std::size_t>(times);
  if (value.is_text()) {
    const std::string& text = value.as_text();
    MLXR_RETURN_IF_ERROR(budget.allocate(count, text.size() + 1));
    std::string out;
    out.reserve(count * text.size());
    for (std::size_t i = 0; i < count; ++i)
      out += text;
    return value.is_markup() ? Value::markup(std::move(out)) : Value::text(std::move(out));
  }
  const auto& items = value.as_sequence().items;
  MLXR_RETURN_IF_ERROR(budget.allocate(count, items.size() * sizeof(Value) + 1));
  std::vector<Value> out;
  out.reserve(count * items.size());
  for (std::size_t i = 0; i < count; ++i)
    out.insert(out.end(), items.begin(), items.end());
  return value.is_list() ? Value::list(std::move(out)) : Value::tuple(std::move(out));
}

bool repeatable(const Value& value) {
  return value.is_text() || value.is_list() || value.is_tuple();
}

}  // namespace

Result<Value> calculate(ArithmeticOp op, const Value& a, const Value& b, Budget& budget) {
  if (a.is_undefined()) return a.complaint();
  if (op == ArithmeticOp::kModulo && a.is_text()) return format_percent(a.as_text(), b, budget);
  if (b.is_undefined()) return b.complaint();
  if (a.is_integral() && b.is_integral()) return integers(op, a.as_integer(), b.as_integer());
  if (a.is_numeric() && b.is_numeric()) return floats(op, a.as_number(), b.as_number());
  if (op == ArithmeticOp::kAdd) return add(a, b, budget);
  if (op == ArithmeticOp::kMultiply && repeatable(a) && b.is_integral()) return repeat(a, b.as_integer(), budget);
  if (op == ArithmeticOp::kMultiply && a.is_integral() && repeatable(b)) return repeat(b, a.as_integer(), budget);
  return mismatch(op, a, b);
}

Result<Value> negate(const Value& value) {
  if (value.is_undefined()) return value.complaint();
  if (value.is_integral()) return integers(ArithmeticOp::kSubtract, 0, value.as_integer());
  if (value.is_numeric()) return Value::number(-value.as_number());
  return invalid_argument(fmt::format("bad operand type for unary -: '{}'", value.type_name()));
}

Result<Value> plus(const Value& value) {
  if (value.is_undefined()) return value.complaint();
  if (value.is_integral()) return Value::integer(value.as_integer());
  if (value.is_numeric()) return value;
  return invalid_argument(fmt::format("bad operand type for unary +: '{}'", value.type_name()));
}

std::string escape_html(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '"':
        out += "&#34;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace mlxr::jinja
