// Texts made to cost a tokenizer time: a quadratic step would keep these tests running for hours.

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/runtime/tokenizer/load_tokenizer.h"
#include "core/runtime/tokenizer/normalizer.h"
#include "core/runtime/tokenizer/pretokenizer_names.h"
#include "core/runtime/tokenizer/tokenizer_json.h"
#include "tests/support/paths.h"

namespace mlxr {
namespace {

using nlohmann::json;

constexpr std::size_t kBytes = 1 << 20;

std::string repeat(std::string_view unit, std::string_view end = "", std::size_t bytes = kBytes) {
  std::string out;
  out.reserve(bytes + unit.size() + end.size());
  while (out.size() < bytes)
    out += unit;
  out += end;
  return out;
}

std::vector<std::string> hostile_texts() {
  return {repeat("a"),    repeat(" "),     repeat(" ", "x"),      repeat("\n", "x"),          repeat(" \n"),
          repeat("1"),    repeat("A"),     repeat("!", "?"),      repeat("\xE4\xB8\xAD"),     repeat("'"),
          repeat("\xFF"), repeat("a\xFF"), repeat("<|im_start|"), repeat("\xCC\x81\xCC\x96"), repeat("\xE2\x96\x81")};
}

TEST(HostileText, EncodesInBoundedTime) {
  for (const char* name : {"tokenizer/sprout", "tokenizer/spm-bytes", "tokenizer/metaspace"}) {
    const auto loaded = load_tokenizer(test::fixture(name));
    ASSERT_TRUE(loaded.ok()) << loaded.status().message();
    for (const std::string& text : hostile_texts()) {
      EXPECT_GT((*loaded)->encode(text).size(), 0u);
    }
  }
}

TEST(HostileText, ByteLevelStaysLossless) {
  const auto loaded = load_tokenizer(test::fixture("tokenizer/sprout"));
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  for (const std::string& text : hostile_texts()) {
    EXPECT_TRUE((*loaded)->decode((*loaded)->encode(text, {.parse_special = false})) == text) << text.substr(0, 16);
  }
}

TEST(HostileText, EveryNamedPreTokenizerCutsInBoundedTime) {
  std::vector<const std::string_view*> done;
  constexpr std::size_t kSome = 1 << 17;
  const std::vector<std::string> texts = {repeat("a", "", kSome), repeat(" ", "x", kSome), repeat(" \n", "", kSome),
                                          repeat("1", "", kSome), repeat("A", "", kSome),  repeat("!", "?", kSome)};
  for (const PreTokenizerRow& row : pre_tokenizer_rows()) {
    // Rows that share their patterns are alike.
    if (std::find(done.begin(), done.end(), row.patterns.data()) != done.end()) continue;
    done.push_back(row.patterns.data());
    const PreTokenizer pre_tokenizer = make_pre_tokenizer(row);
    for (const std::string& text : texts) {
      PreTokenizer::Scratch scratch(pre_tokenizer);
      const auto pieces = pre_tokenizer.apply(text, true, scratch);
      std::size_t total = 0;
      for (const TextRange range : pieces.ranges)
        total += range.end - range.begin;
      EXPECT_EQ(total, text.size()) << row.name;
    }
  }
}

TEST(HostileText, AHostilePatternGivesUp) {
  const json tokenizer = {
      {"pre_tokenizer",
       {{"type", "Sequence"},
        {"pretokenizers",
         {{{"type", "Split"}, {"pattern", {{"Regex", "(a+)+$|(a|aa)+b"}}}, {"behavior", "Isolated"}, {"invert", false}},
          {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}}},
      {"model", {{"type", "BPE"}, {"vocab", {{"a", 0}, {"!", 1}}}, {"merges", json::array()}}}};
  const auto loaded = tokenizer_from_json(tokenizer, json());
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  const std::string text = repeat("a", "!");
  EXPECT_EQ((*loaded)->encode(text).size(), text.size());
}

TEST(HostileText, MarksAreOrderedInBoundedTime) {
  // U+0301 has class 230 and U+0316 class 220: every pair is out of order.
  const std::string text = repeat("\xCC\x81\xCC\x96");
  const std::string ordered = normalize_unicode(text, NormalForm::kNfd);
  ASSERT_EQ(ordered.size(), text.size());
  EXPECT_EQ(ordered.substr(0, 4), "\xCC\x96\xCC\x96");
  EXPECT_EQ(ordered.substr(ordered.size() - 4), "\xCC\x81\xCC\x81");
}

}  // namespace
}  // namespace mlxr
