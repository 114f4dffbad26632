#pragma once
// JsonScanner: reads one JSON object or array byte by byte and says what each byte is, so that parts of it can be used
// before its end. Strict (RFC 8259) but for the validity of UTF-8 and of pairs of surrogates. Nothing is allocated but
// a bit for each open bracket.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mlxr {

class JsonScanner {
 public:
  enum class Step : std::uint8_t {
    kMore,
    kDone,  // this byte is the last one
    kBad,   // no JSON goes on like this; nothing may be pushed any more
  };
  // What the last byte was part of.
  enum class Place : std::uint8_t {
    kBetween,  // white space, comma, colon
    kKey,      // of an object, its quotes included
    kValue,    // anything else, brackets included
  };

  Step push(char c);
  Place place() const { return place_; }
  // Open brackets after the last byte.
  std::size_t depth() const { return arrays_.size(); }

 private:
  static constexpr std::size_t kMaxDepth = 256;
  enum class State : std::uint8_t {
    kValue,      // a value must come
    kFirstItem,  // or the end of the array
    kFirstKey,   // or the end of the object
    kKey,        // a key must come
    kColon,
    kAfterValue,  // a comma or the end
    kString,
    kEscape,
    kHex,
    kLiteral,
    kNumber,
  };
  enum class Digits : std::uint8_t { kMinus, kZero, kInteger, kPoint, kFraction, kExponent, kSign, kPower };

  Step open(bool array);
  Step close(bool array);
  Step begin_value(char c);
  Step in_string(char c);
  Step in_number(char c);
  Step after_value(char c);
  Step bad() { return Step::kBad; }

  State state_ = State::kValue;
  Digits digits_ = Digits::kMinus;
  Place place_ = Place::kBetween;
  bool in_key_ = false;
  int hex_left_ = 0;
  const char* literal_ = nullptr;  // what is left of true, false or null
  std::vector<bool> arrays_;       // of the open brackets: whether they are arrays
};

}  // namespace mlxr
