#include "core/runtime/chat_output/json_scanner.h"

namespace mlxr {
namespace {

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

}  // namespace

JsonScanner::Step JsonScanner::push(char c) {
  switch (state_) {
    case State::kString:
    case State::kEscape:
    case State::kHex:
      return in_string(c);
    case State::kLiteral:
      if (c != *literal_) return bad();
      if (*++literal_ == '\0') state_ = State::kAfterValue;
      return Step::kMore;
    case State::kNumber:
      return in_number(c);
    default:
      break;
  }
  place_ = Place::kBetween;
  if (is_space(c)) return Step::kMore;
  switch (state_) {
    case State::kFirstItem:
      return c == ']' ? close(true) : begin_value(c);
    case State::kFirstKey:
      if (c == '}') return close(false);
      [[fallthrough]];
    case State::kKey:
      if (c != '"') return bad();
      place_ = Place::kKey;
      in_key_ = true;
      state_ = State::kString;
      return Step::kMore;
    case State::kColon:
      if (c != ':') return bad();
      state_ = State::kValue;
      return Step::kMore;
    case State::kAfterValue:
      return after_value(c);
    default:
      return begin_value(c);
  }
}

JsonScanner::Step JsonScanner::open(bool array) {
  if (arrays_.size() >= kMaxDepth) return bad();
  arrays_.push_back(array);
  state_ = array ? State::kFirstItem : State::kFirstKey;
  return Step::kMore;
}

JsonScanner::Step JsonScanner::close(bool array) {
  if (arrays_.empty() || arrays_.back() != array) return bad();
  place_ = Place::kValue;
  arrays_.pop_back();
  state_ = State::kAfterValue;
  return arrays_.empty() ? Step::kDone : Step::kMore;
}

JsonScanner::Step JsonScanner::begin_value(char c) {
  place_ = Place::kValue;
  if (c == '{' || c == '[') return open(c == '[');
  if (arrays_.empty()) return bad();
  if (c == '"') {
    in_key_ = false;
    state_ = State::kString;
    return Step::kMore;
  }
  if (c == '-' || is_digit(c)) {
    digits_ = c == '-' ? Digits::kMinus : c == '0' ? Digits::kZero : Digits::kInteger;
    state_ = State::kNumber;
    return Step::kMore;
  }
  literal_ = c == 't' ? "rue" : c == 'f' ? "alse" : c == 'n' ? "ull" : nullptr;
  if (literal_ == nullptr) return bad();
  state_ = State::kLiteral;
  return Step::kMore;
}

JsonScanner::Step JsonScanner::in_string(char c) {
  if (state_ == State::kHex) {
    if (!is_hex(c)) return bad();
    if (--hex_left_ == 0) state_ = State::kString;
    return Step::kMore;
  }
  if (state_ == State::kEscape) {
    constexpr const char* kEscapes = "\"\\/bfnrt";
    state_ = State::kString;
    for (const char* known = kEscapes; *known != '\0'; ++known) {
      if (c == *known) return Step::kMore;
    }
    if (c != 'u') return bad();
    hex_left_ = 4;
    state_ = State::kHex;
    return Step::kMore;
  }
  if (static_cast<unsigned char>(c) < 0x20) return bad();
  if (c == '\\') state_ = State::kEscape;
  if (c == '"') state_ = in_key_ ? State::kColon : State::kAfterValue;
  return Step::kMore;
}

// A number ends with the byte behind it.
JsonScanner::Step JsonScanner::in_number(char c) {
  const bool digit = is_digit(c);
  const bool exponent = c == 'e' || c == 'E';
  switch (digits_) {
    case Digits::kMinus:
      if (!digit) return bad();
      digits_ = c == '0' ? Digits::kZero : Digits::kInteger;
      return Step::kMore;
    case Digits::kPoint:
      if (!digit) return bad();
      digits_ = Digits::kFraction;
      return Step::kMore;
    case Digits::kExponent:
      if (c == '+' || c == '-') {
        digits_ = Digits::kSign;
        return Step::kMore;
      }
      [[fallthrough]];
    case Digits::kSign:
      if (!digit) return bad();
      digits_ = Digits::kPower;
      return Step::kMore;
    case Digits::kZero:
    case Digits::kInteger:
    case Digits::kFraction:
    case Digits::kPower:
      break;
  }
  if (digit && digits_ != Digits::kZero) return Step::kMore;
  if (c == '.' && (digits_ == Digits::kZero || digits_ == Digits::kInteger)) {
    digits_ = Digits::kPoint;
    return Step::kMore;
  }
  if (exponent && digits_ != Digits::kPower) {
    digits_ = Digits::kExponent;
    return Step::kMore;
  }
  if (digit) return bad();
  state_ = State::kAfterValue;
  return push(c);
}

JsonScanner::Step JsonScanner::after_value(char c) {
  if (c == ']' || c == '}') return close(c == ']');
  if (c != ',' || arrays_.empty()) return bad();
  state_ = arrays_.back() ? State::kValue : State::kKey;
  return Step::kMore;
}

}  // namespace mlxr
