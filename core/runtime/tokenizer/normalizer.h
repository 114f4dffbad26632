#pragma once
// What is done to a text before it is split: Unicode normal forms, replacements, a prefix.
// Source: huggingface/tokenizers, normalizers.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/runtime/tokenizer/regex.h"

namespace mlxr {

enum class NormalForm : std::uint8_t { kNfc, kNfd, kNfkc, kNfkd };

// The normal form of valid UTF-8. Linear apart from sorting runs of combining marks (n log n).
std::string normalize_unicode(std::string_view text, NormalForm form);

struct NormalizerStep {
  enum class Kind : std::uint8_t {
    kForm,
    kLowercase,
    kReplaceText,     // every `from` by `to`
    kReplacePattern,  // every match of `regex` by `to`
    kPrepend,         // `to`, unless the text is empty
    kStrip,           // white space at the ends
    kCollapseSpaces,  // SentencePiece's remove_extra_whitespaces: runs of U+0020 become one, none at the ends
  };
  Kind kind = Kind::kForm;
  NormalForm form = NormalForm::kNfc;
  std::string from;
  std::string to;
  bool left = true;  // of kStrip
  bool right = true;
  std::shared_ptr<const Regex> regex;
};

// Immutable and thread-safe.
class Normalizer {
 public:
  Normalizer() = default;
  explicit Normalizer(std::vector<NormalizerStep> steps) : steps_(std::move(steps)) {}

  bool empty() const { return steps_.empty(); }
  const std::vector<NormalizerStep>& steps() const { return steps_; }
  // `text` must be valid UTF-8. One that `continues` another gets no prefix.
  std::string apply(std::string_view text, bool continues = false) const;

 private:
  std::vector<NormalizerStep> steps_;
};

}  // namespace mlxr
