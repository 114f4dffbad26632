#include "core/runtime/tokenizer/pretokenizer_names.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/check.h"

namespace mlxr {
namespace {

#define MLXR_SPLIT(split, ...) constexpr std::string_view kSplit_##split[] = {__VA_ARGS__};  // NOLINT
#define MLXR_PRE(name, split, ignore_merges, add_bos)
#include "core/runtime/tokenizer/pretokenizers.def"
#undef MLXR_SPLIT
#undef MLXR_PRE

#define MLXR_SPLIT(split, ...)
#define MLXR_PRE(name, split, ignore_merges, add_bos) {name, kSplit_##split, ignore_merges, add_bos},
constexpr PreTokenizerRow kRows[] = {
#include "core/runtime/tokenizer/pretokenizers.def"
};
#undef MLXR_SPLIT
#undef MLXR_PRE

// Other spellings in tokenizer.json files of the same split: the whole list on the left cuts like the row on the right.
constexpr std::string_view kFalconFile[] = {R"re([\p{P}!-/:-@\[-`{-~]+)re", kGpt2Pattern, R"re(\p{N}+)re",
                                            "[0-9][0-9][0-9]"};
constexpr std::pair<std::span<const std::string_view>, std::string_view> kOtherSpellings[] = {
    {kFalconFile, "falcon"},
};

// The patterns of a pre-tokenizer that does nothing but isolate their matches.
std::optional<std::vector<std::string_view>> isolated_patterns(const PreTokenizer& pre_tokenizer) {
  std::vector<std::string_view> out;
  for (const PreTokenizerStep& step : pre_tokenizer.steps()) {
    if (step.kind == PreTokenizerStep::Kind::kByteAlphabet) continue;
    if (step.kind != PreTokenizerStep::Kind::kSplit) return std::nullopt;
    // Where every character is in a match, dropping what is not changes nothing.
    const bool isolates = (step.behavior == SplitBehavior::kIsolated && !step.invert) ||
                          (step.behavior == SplitBehavior::kRemoved && step.invert) ||
                          step.behavior == SplitBehavior::kContiguous;
    if (!isolates) return std::nullopt;
    out.emplace_back(step.regex->pattern());
  }
  return out;
}

}  // namespace

std::span<const PreTokenizerRow> pre_tokenizer_rows() {
  return kRows;
}

const PreTokenizerRow* find_pre_tokenizer(std::string_view name) {
  const auto* row =
      std::find_if(std::begin(kRows), std::end(kRows), [&](const PreTokenizerRow& r) { return r.name == name; });
  return row == std::end(kRows) ? nullptr : row;
}

PreTokenizer make_pre_tokenizer(const PreTokenizerRow& row) {
  std::vector<PreTokenizerStep> steps;
  for (const std::string_view pattern : row.patterns) {
    auto regex = Regex::compile(pattern);
    MLXR_CHECK(regex.ok(), "a pattern of the table is valid");
    PreTokenizerStep step;
    step.regex = std::make_shared<const Regex>(std::move(regex).value());
    steps.push_back(std::move(step));
  }
  return PreTokenizer(std::move(steps));
}

std::string pre_tokenizer_name(const PreTokenizer& pre_tokenizer, bool ignore_merges) {
  const auto patterns = isolated_patterns(pre_tokenizer);
  if (!patterns) return {};
  const auto same = [&](std::span<const std::string_view> other) {
    return std::equal(patterns->begin(), patterns->end(), other.begin(), other.end());
  };
  const PreTokenizerRow* found = nullptr;
  for (const PreTokenizerRow& row : kRows) {
    if (!same(row.patterns)) continue;
    if (row.ignore_merges == ignore_merges) return std::string(row.name);
    if (found == nullptr) found = &row;
  }
  for (const auto& [spelling, name] : kOtherSpellings) {
    if (same(spelling)) return std::string(name);
  }
  return found == nullptr ? std::string() : std::string(found->name);
}

}  // namespace mlxr
