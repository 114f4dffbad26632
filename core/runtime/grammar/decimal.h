#pragma once
// Numbers of a schema as exact decimals, and the automaton of the decimals within bounds.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/status.h"
#include "core/runtime/grammar/rules.h"

namespace mlxr::grammar {

// sign * whole.fraction; `whole` without leading zeros ("0" when there is nothing), `fraction` without trailing ones.
struct Decimal {
  bool negative = false;
  std::string whole = "0";
  std::string fraction;

  // Reads a JSON number. nullopt when it has more than 400 digits once written out.
  static std::optional<Decimal> parse(std::string_view text);
  bool is_zero() const { return whole == "0" && fraction.empty(); }
  int compare(const Decimal& other) const;  // < 0, 0, > 0
};

struct NumberBounds {
  std::optional<Decimal> low, high;
  bool low_excluded = false;
  bool high_excluded = false;
  std::optional<Decimal> multiple_of;  // not zero
  bool whole = false;                  // no fraction at all

  bool any() const { return low.has_value() || high.has_value() || multiple_of.has_value(); }
  bool contains(const Decimal& value) const;
};

// The numbers within bounds, written without exponent. kUnsupported when a multipleOf needs too many states.
Result<ExpressionId> number_expression(Rules& rules, const NumberBounds& bounds);

}  // namespace mlxr::grammar
