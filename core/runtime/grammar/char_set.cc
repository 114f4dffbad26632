#include "core/runtime/grammar/char_set.h"

#include <algorithm>

namespace mlxr::grammar {
namespace {

constexpr char32_t kSurrogateLow = 0xD800;
constexpr char32_t kSurrogateHigh = 0xDFFF;

struct Encoded {
  std::uint8_t bytes[4];
};

int encoded_length(char32_t c) {
  return c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
}

Encoded encode(char32_t c, int length) {
  Encoded out{};
  if (length == 1) {
    out.bytes[0] = static_cast<std::uint8_t>(c);
    return out;
  }
  for (int i = length - 1; i > 0; --i) {
    out.bytes[i] = static_cast<std::uint8_t>(0x80U | (c & 0x3FU));
    c >>= 6;
  }
  const std::uint32_t lead = length == 2 ? 0xC0U : length == 3 ? 0xE0U : 0xF0U;
  out.bytes[0] = static_cast<std::uint8_t>(lead | c);
  return out;
}

// `low` and `high` have the same length; split until every byte position runs over a whole range.
void add_sequences(char32_t low, char32_t high, int length, std::vector<ByteSequence>& out) {
  for (int i = 1; i < length; ++i) {
    const char32_t mask = (char32_t{1} << (6 * i)) - 1;
    if ((low & ~mask) == (high & ~mask)) continue;
    if ((low & mask) != 0) {
      add_sequences(low, low | mask, length, out);
      add_sequences((low | mask) + 1, high, length, out);
      return;
    }
    if ((high & mask) != mask) {
      add_sequences(low, (high & ~mask) - 1, length, out);
      add_sequences(high & ~mask, high, length, out);
      return;
    }
  }
  const Encoded first = encode(low, length);
  const Encoded last = encode(high, length);
  ByteSequence sequence{};
  sequence.length = length;
  for (int i = 0; i < length; ++i)
    sequence.bytes[i] = {first.bytes[i], last.bytes[i]};
  out.push_back(sequence);
}

}  // namespace

CharSet::CharSet(std::vector<CodePointRange> ranges) {
  std::vector<CodePointRange> valid;
  for (CodePointRange range : ranges) {
    range.high = std::min(range.high, kMaxCodePoint);
    if (range.low > range.high) continue;
    if (range.high < kSurrogateLow || range.low > kSurrogateHigh) {
      valid.push_back(range);
      continue;
    }
    if (range.low < kSurrogateLow) valid.push_back({range.low, kSurrogateLow - 1});
    if (range.high > kSurrogateHigh) valid.push_back({kSurrogateHigh + 1, range.high});
  }
  std::sort(valid.begin(), valid.end(), [](const auto& a, const auto& b) { return a.low < b.low; });
  for (const CodePointRange& range : valid) {
    if (!ranges_.empty() && range.low <= ranges_.back().high + 1)
      ranges_.back().high = std::max(ranges_.back().high, range.high);
    else
      ranges_.push_back(range);
  }
}

CharSet CharSet::all() {
  return of(0, kMaxCodePoint);
}

bool CharSet::contains(char32_t code_point) const {
  return std::any_of(ranges_.begin(), ranges_.end(),
                     [&](const CodePointRange& r) { return r.low <= code_point && code_point <= r.high; });
}

CharSet CharSet::complement() const {
  std::vector<CodePointRange> out;
  char32_t next = 0;
  for (const CodePointRange& range : ranges_) {
    if (range.low > next) out.push_back({next, range.low - 1});
    next = range.high + 1;
  }
  if (next <= kMaxCodePoint) out.push_back({next, kMaxCodePoint});
  return CharSet(std::move(out));
}

CharSet CharSet::united(const CharSet& other) const {
  std::vector<CodePointRange> both = ranges_;
  both.insert(both.end(), other.ranges_.begin(), other.ranges_.end());
  return CharSet(std::move(both));
}

CharSet CharSet::common(const CharSet& other) const {
  std::vector<CodePointRange> out;
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < ranges_.size() && j < other.ranges_.size()) {
    const char32_t low = std::max(ranges_[i].low, other.ranges_[j].low);
    const char32_t high = std::min(ranges_[i].high, other.ranges_[j].high);
    if (low <= high) out.push_back({low, high});
    if (ranges_[i].high < other.ranges_[j].high)
      ++i;
    else
      ++j;
  }
  return CharSet(std::move(out));
}

std::vector<ByteSequence> utf8_sequences(const CharSet& set) {
  static constexpr char32_t kLast[] = {0x7F, 0x7FF, 0xFFFF, kMaxCodePoint};
  std::vector<ByteSequence> out;
  for (CodePointRange range : set.ranges()) {
    for (const char32_t last : kLast) {
      if (range.low > last) continue;
      const char32_t high = std::min(range.high, last);
      add_sequences(range.low, high, encoded_length(range.low), out);
      if (high == range.high) break;
      range.low = high + 1;
    }
  }
  return out;
}

}  // namespace mlxr::grammar
