#pragma once
// Cuts a text into the pieces that a model encodes one by one. Steps follow each other; each cuts the pieces of the one
// before. Source: huggingface/tokenizers, pre_tokenizers.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/runtime/tokenizer/regex.h"

namespace mlxr {

// What becomes of the matches of a split.
enum class SplitBehavior : std::uint8_t { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

struct PreTokenizerStep {
  enum class Kind : std::uint8_t {
    kSplit,         // at the matches of `regex`
    kByteAlphabet,  // from here on pieces are spelled in the byte alphabet (byte_alphabet.h)
    kPrefixSpace,   // a piece that does not start with a space gets one in front
    kMetaspace,     // U+0020 becomes U+2581, one more may go in front; cut before each when `split`
    kWordStarts,    // cut where U+2581 follows another character
  };
  enum class Prepend : std::uint8_t { kNever, kFirst, kAlways };

  Kind kind = Kind::kSplit;
  std::shared_ptr<const Regex> regex;
  SplitBehavior behavior = SplitBehavior::kIsolated;
  bool invert = false;                 // gaps count as matches, matches as gaps
  Prepend prepend = Prepend::kAlways;  // of kMetaspace
  bool split = true;
};

// Immutable and thread-safe.
class PreTokenizer {
 public:
  // Text and its pieces in order; gaps between pieces are dropped text.
  struct Pieces {
    std::string text;
    std::vector<TextRange> ranges;
    bool in_byte_alphabet = false;
  };

  // The searches of one caller, reused from text to text.
  class Scratch {
   public:
    explicit Scratch(const PreTokenizer& pre_tokenizer);
    std::vector<Regex::Search> searches;  // one a split step, in order
  };

  PreTokenizer() = default;
  explicit PreTokenizer(std::vector<PreTokenizerStep> steps) : steps_(std::move(steps)) {}

  const std::vector<PreTokenizerStep>& steps() const { return steps_; }
  // `text` must be valid UTF-8. `first`: the text stands at the start of what the user gave.
  Pieces apply(std::string text, bool first, Scratch& scratch) const;

 private:
  std::vector<PreTokenizerStep> steps_;
};

// The pattern that ByteLevel splits with. Source: openai/gpt-2, src/encoder.py.
inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

}  // namespace mlxr
