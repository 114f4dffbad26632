#include "core/runtime/stop_matcher.h"

#include <random>
#include <string>

#include <gtest/gtest.h>

namespace mlxr {
namespace {

struct Shown {
  std::string text;
  std::string stopped_by;
};

// Pushes the pieces one after another, then the end.
Shown show(const std::vector<std::string>& stops, const std::vector<std::string>& pieces) {
  StopMatcher matcher(stops);
  Shown shown;
  for (const std::string& piece : pieces)
    shown.text += matcher.push(piece);
  shown.text += matcher.flush();
  shown.stopped_by = matcher.stopped_by().value_or("");
  return shown;
}

// By definition: the shortest beginning of the text that ends with a stop string.
Shown by_definition(const std::vector<std::string>& stops, const std::string& text) {
  for (std::size_t end = 1; end <= text.size(); ++end) {
    std::string longest;
    for (const std::string& stop : stops) {
      if (stop.size() > longest.size() && text.substr(0, end).ends_with(stop)) longest = stop;
    }
    if (!longest.empty()) return {text.substr(0, end - longest.size()), longest};
  }
  return {text, ""};
}

TEST(StopMatcherTest, CutsAtTheStop) {
  const struct {
    std::vector<std::string> stops;
    std::vector<std::string> pieces;
    std::string text;
    std::string stopped_by;
  } kCases[] = {
      {{}, {"a", "b"}, "ab", ""},
      {{""}, {"a", "b"}, "ab", ""},
      {{"stop"}, {"go ", "stop", " more"}, "go ", "stop"},
      {{"stop"}, {"go st", "op more"}, "go ", "stop"},
      {{"stop"}, {"s", "t", "o", "p"}, "", "stop"},
      {{"stop"}, {"st", "ay"}, "stay", ""},
      {{"stop"}, {"sto"}, "sto", ""},
      {{"stop"}, {"sstop"}, "s", "stop"},
      {{"\n\n"}, {"a\n", "b\n", "\nc"}, "a\nb", "\n\n"},
      {{"aab"}, {"aa", "aa", "b"}, "aa", "aab"},
      {{"abc", "bc"}, {"xab", "c"}, "x", "abc"},
      {{"abcd", "bc"}, {"xabcd"}, "xa", "bc"},
      {{"User:", "<|end|>"}, {"hi<|en", "d|>User:"}, "hi", "<|end|>"},
      {{"é"}, {"è", "é"}, "è", "é"},
  };
  for (const auto& entry : kCases) {
    const Shown shown = show(entry.stops, entry.pieces);
    EXPECT_EQ(shown.text, entry.text);
    EXPECT_EQ(shown.stopped_by, entry.stopped_by);
  }
}

TEST(StopMatcherTest, HoldsBackOnlyWhatMayBecomeAStop) {
  StopMatcher matcher({"END", "\n###"});
  EXPECT_EQ(matcher.push("hello E"), "hello ");
  EXPECT_EQ(matcher.push("N"), "");
  EXPECT_EQ(matcher.push("d\n"), "ENd");
  EXPECT_EQ(matcher.push("#"), "");
  EXPECT_EQ(matcher.push("x"), "\n#x");
  EXPECT_FALSE(matcher.stopped());
  EXPECT_EQ(matcher.push("END of it"), "");
  EXPECT_TRUE(matcher.stopped());
  EXPECT_EQ(matcher.push("more"), "");
  EXPECT_EQ(matcher.flush(), "");
}

// Random texts over a small alphabet, cut anywhere.
TEST(StopMatcherTest, EqualsItsDefinitionHoweverTheTextIsCut) {
  std::mt19937_64 random(5);
  const auto draw = [&](std::uint64_t bound) { return static_cast<std::size_t>(random() % bound); };
  const auto word = [&](std::size_t longest) {
    std::string made(1 + draw(longest), 'a');
    for (char& c : made)
      c = static_cast<char>('a' + draw(2));
    return made;
  };
  for (int round = 0; round < 3000; ++round) {
    std::vector<std::string> stops(1 + draw(3));
    for (std::string& stop : stops)
      stop = word(6);
    const std::string text = word(40);
    std::vector<std::string> pieces;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t length = 1 + draw(5);
      pieces.push_back(text.substr(at, length));
      at += length;
    }
    const Shown expected = by_definition(stops, text);
    const Shown shown = show(stops, pieces);
    ASSERT_EQ(shown.text, expected.text) << text;
    ASSERT_EQ(shown.stopped_by, expected.stopped_by) << text;
  }
}

}  // namespace
}  // namespace mlxr
