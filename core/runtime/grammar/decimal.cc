#include "core/runtime/grammar/decimal.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <tuple>
#include <vector>

#include <fmt/core.h>

namespace mlxr::grammar {
namespace {

constexpr int kMaxDigits = 400;
constexpr std::int64_t kMaxMultiple = 20'000;
constexpr std::size_t kMaxStates = 100'000;

int compare_magnitude(const Decimal& a, const Decimal& b) {
  if (a.whole.size() != b.whole.size()) return a.whole.size() < b.whole.size() ? -1 : 1;
  if (const int order = a.whole.compare(b.whole); order != 0) return order;
  return a.fraction.compare(b.fraction);
}

// How the digits read so far compare with a bound's magnitude. Before the point `place` counts digits and `order`
// holds if there turn out to be as many as the bound has; behind the point `place` counts the fraction's.
struct Comparison {
  int place = 0;
  int order = 0;

  friend auto operator<=>(const Comparison&,
                          const Comparison&) = default;  // NOLINT(modernize-use-nullptr): the check misreads <=>

  void digit(const Decimal& bound, char digit) {
    const int length = static_cast<int>(bound.whole.size());
    if (place < length && order == 0)
      order = (digit > bound.whole[static_cast<std::size_t>(place)]) -
              (digit < bound.whole[static_cast<std::size_t>(place)]);
    place = std::min(place + 1, length + 1);
    if (place > length) order = 1;
  }
  void point(const Decimal& bound) {
    const int length = static_cast<int>(bound.whole.size());
    if (place != length) order = place < length ? -1 : 1;
    place = 0;
  }
  void fraction_digit(const Decimal& bound, char digit) {
    if (order != 0) return;
    const int length = static_cast<int>(bound.fraction.size());
    const char theirs = place < length ? bound.fraction[static_cast<std::size_t>(place)] : '0';
    order = (digit > theirs) - (digit < theirs);
    place = order != 0 ? 0 : std::min(place + 1, length);
  }
  int result(const Decimal& bound, bool behind_point) const {
    Comparison ended = *this;
    if (!behind_point) ended.point(bound);
    if (ended.order != 0) return ended.order;
    return ended.place < static_cast<int>(bound.fraction.size()) ? -1 : 0;
  }
};

// Of value = sign * magnitude with a bound.
int compare_signed(bool negative, bool zero, int magnitude_order, const Decimal& bound) {
  if (zero) return bound.is_zero() ? 0 : bound.negative ? 1 : -1;
  if (negative != bound.negative) return negative ? -1 : 1;
  if (bound.is_zero()) return negative ? -1 : 1;
  return negative ? -magnitude_order : magnitude_order;
}

class NumberAutomaton {
 public:
  NumberAutomaton(Rules& rules, const NumberBounds& bounds) : rules_(rules), bounds_(bounds) {}

  Result<ExpressionId> run() {
    MLXR_RETURN_IF_ERROR(read_multiple());
    id_of({});
    for (std::size_t i = 0; i < states_.size(); ++i) {
      if (states_.size() > kMaxStates) return unsupported("these bounds of a number need too many states");
      const State state = states_[i];
      const auto from = static_cast<std::int32_t>(i);
      if (accepts(state)) graph_.accepting.push_back(from);
      for (const char c : std::string_view("-.0123456789")) {
        const std::optional<State> next = step(state, c);
        if (next.has_value()) graph_.edges.push_back({from, sign(c), id_of(*next)});
      }
    }
    graph_.num_states = static_cast<std::int32_t>(states_.size());
    return rules_.graph(std::move(graph_));
  }

 private:
  enum Phase { kStart, kSigned, kZero, kWhole, kPoint, kFraction };
  struct State {
    int phase = kStart;
    bool negative = false;
    bool zero = true;
    Comparison low, high;
    std::int64_t rest = 0;  // of the digits so far, divided by the multiple's
    int num_fraction = 0;   // digits behind the point, as far as the multiple has any

    friend auto operator<=>(const State&,
                            const State&) = default;  // NOLINT(modernize-use-nullptr): the check misreads <=>
  };

  Status read_multiple() {
    if (!bounds_.multiple_of.has_value()) return {};
    const std::string digits = bounds_.multiple_of->whole + bounds_.multiple_of->fraction;
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), multiple_);
    if (parsed.ec != std::errc() || multiple_ > kMaxMultiple)
      return unsupported(fmt::format("multipleOf with digits over {} is not supported", kMaxMultiple));
    multiple_fraction_ = static_cast<int>(bounds_.multiple_of->fraction.size());
    return {};
  }

  ExpressionId sign(char c) {
    ExpressionId& known = signs_[static_cast<unsigned char>(c)];
    if (known < 0) known = rules_.literal(std::string_view(&c, 1));
    return known;
  }

  std::int32_t id_of(const State& state) {
    const auto [place, added] = ids_.try_emplace(state, static_cast<std::int32_t>(states_.size()));
    if (added) states_.push_back(state);
    return place->second;
  }

  std::optional<State> step(State state, char c) const {
    if (c == '-') {
      if (state.phase != kStart) return std::nullopt;
      state.phase = kSigned;
      state.negative = true;
      return state;
    }
    if (c == '.') {
      if ((state.phase != kZero && state.phase != kWhole) || bounds_.whole) return std::nullopt;
      state.phase = kPoint;
      if (bounds_.low.has_value()) state.low.point(*bounds_.low);
      if (bounds_.high.has_value()) state.high.point(*bounds_.high);
      return state;
    }
    if (state.phase == kZero) return std::nullopt;
    const bool fraction = state.phase == kPoint || state.phase == kFraction;
    if (fraction) {
      state.phase = kFraction;
      if (bounds_.low.has_value()) state.low.fraction_digit(*bounds_.low, c);
      if (bounds_.high.has_value()) state.high.fraction_digit(*bounds_.high, c);
    } else {
      state.phase = c == '0' && state.phase != kWhole ? kZero : kWhole;
      if (bounds_.low.has_value()) state.low.digit(*bounds_.low, c);
      if (bounds_.high.has_value()) state.high.digit(*bounds_.high, c);
    }
    state.zero = state.zero && c == '0';
    if (multiple_ == 0) return state;
    if (fraction && state.num_fraction == multiple_fraction_) {
      if (c != '0') return std::nullopt;
      return state;
    }
    if (fraction) ++state.num_fraction;
    state.rest = (state.rest * 10 + (c - '0')) % multiple_;
    return state;
  }

  bool accepts(const State& state) const {
    if (state.phase != kZero && state.phase != kWhole && state.phase != kFraction) return false;
    const bool behind_point = state.phase == kFraction;
    if (bounds_.low.has_value()) {
      const int order =
          compare_signed(state.negative, state.zero, state.low.result(*bounds_.low, behind_point), *bounds_.low);
      if (order < 0 || (order == 0 && bounds_.low_excluded)) return false;
    }
    if (bounds_.high.has_value()) {
      const int order =
          compare_signed(state.negative, state.zero, state.high.result(*bounds_.high, behind_point), *bounds_.high);
      if (order > 0 || (order == 0 && bounds_.high_excluded)) return false;
    }
    if (multiple_ == 0) return true;
    std::int64_t rest = state.rest;
    for (int i = state.num_fraction; i < multiple_fraction_; ++i)
      rest = rest * 10 % multiple_;
    return rest == 0;
  }

  Rules& rules_;
  const NumberBounds& bounds_;
  std::int64_t multiple_ = 0;
  int multiple_fraction_ = 0;
  std::vector<State> states_;
  std::map<State, std::int32_t> ids_;
  Graph graph_;
  std::vector<ExpressionId> signs_ = std::vector<ExpressionId>(128, -1);
};

}  // namespace

std::optional<Decimal> Decimal::parse(std::string_view text) {
  Decimal out;
  if (text.starts_with('-')) {
    out.negative = true;
    text.remove_prefix(1);
  }
  int exponent = 0;
  if (const std::size_t e = text.find_first_of("eE"); e != std::string_view::npos) {
    std::string_view digits = text.substr(e + 1);
    if (digits.starts_with('+')) digits.remove_prefix(1);
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), exponent);
    if (parsed.ec != std::errc() || exponent < -kMaxDigits || exponent > kMaxDigits) return std::nullopt;
    text = text.substr(0, e);
  }
  const std::size_t point = std::min(text.find('.'), text.size());
  std::string whole(text.substr(0, point));
  std::string fraction(point < text.size() ? text.substr(point + 1) : std::string_view());
  if (exponent > 0) {
    const std::size_t moved = static_cast<std::size_t>(exponent);
    if (fraction.size() < moved) fraction.resize(moved, '0');
    whole += fraction.substr(0, moved);
    fraction = fraction.substr(moved);
  } else if (exponent < 0) {
    const std::size_t moved = static_cast<std::size_t>(-exponent);
    std::string padded(moved > whole.size() ? moved - whole.size() : 0, '0');
    padded.append(whole);
    fraction.insert(0, padded, padded.size() - moved, moved);
    whole.assign(padded, 0, padded.size() - moved);
  }
  whole.erase(0, std::min(whole.find_first_not_of('0'), whole.size()));
  while (fraction.ends_with('0'))
    fraction.pop_back();
  if (whole.empty()) whole = "0";
  if (whole.size() + fraction.size() > static_cast<std::size_t>(kMaxDigits)) return std::nullopt;
  out.whole = std::move(whole);
  out.fraction = std::move(fraction);
  if (out.is_zero()) out.negative = false;
  return out;
}

int Decimal::compare(const Decimal& other) const {
  if (negative != other.negative) return negative ? -1 : 1;
  return negative ? compare_magnitude(other, *this) : compare_magnitude(*this, other);
}

bool NumberBounds::contains(const Decimal& value) const {
  if (whole && !value.fraction.empty()) return false;
  if (low.has_value() && (value.compare(*low) < 0 || (low_excluded && value.compare(*low) == 0))) return false;
  return !high.has_value() || value.compare(*high) < 0 || (!high_excluded && value.compare(*high) == 0);
}

Result<ExpressionId> number_expression(Rules& rules, const NumberBounds& bounds) {
  return NumberAutomaton(rules, bounds).run();
}

}  // namespace mlxr::grammar
