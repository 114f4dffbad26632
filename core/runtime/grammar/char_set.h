#pragma once
// A set of Unicode code points as sorted ranges that neither touch nor overlap. Surrogates are never in a set.

#include <cstdint>
#include <vector>

namespace mlxr::grammar {

inline constexpr char32_t kMaxCodePoint = 0x10FFFF;

struct CodePointRange {
  char32_t low;
  char32_t high;  // inclusive

  friend bool operator==(const CodePointRange&, const CodePointRange&) = default;
};

class CharSet {
 public:
  CharSet() = default;
  // Ranges in any order; the parts that are surrogates or above U+10FFFF are left out.
  explicit CharSet(std::vector<CodePointRange> ranges);
  static CharSet all();
  static CharSet of(char32_t low, char32_t high) { return CharSet({{low, high}}); }

  const std::vector<CodePointRange>& ranges() const { return ranges_; }
  bool empty() const { return ranges_.empty(); }
  bool contains(char32_t code_point) const;

  CharSet complement() const;
  CharSet united(const CharSet& other) const;
  CharSet common(const CharSet& other) const;

 private:
  std::vector<CodePointRange> ranges_;
};

// The UTF-8 forms of a set: each entry is a sequence of byte ranges, and the set's characters are what the sequences
// spell. After Thompson's ranges as in "Regular Expression Matching with a Trigram Index" (R. Cox) and utf8-ranges.
struct ByteRange {
  std::uint8_t low;
  std::uint8_t high;
};
struct ByteSequence {
  ByteRange bytes[4];
  int length;
};
std::vector<ByteSequence> utf8_sequences(const CharSet& set);

}  // namespace mlxr::grammar
