#include "cli/word_wrap.h"

#include <gtest/gtest.h>

namespace mlxr::cli {
namespace {

TEST(WordWrap, LeavesTextAloneWithoutATerminal) {
  WordWrap wrap(0);
  EXPECT_EQ(wrap.add("a long line of words"), "a long line of words");
}

TEST(WordWrap, BreaksBetweenWords) {
  struct Case {
    const char* text;
    const char* shown;
  };
  const Case cases[] = {
      {"one two", "one two"},
      {"one two three", "one two th\x1b[2D\x1b[K\nthree"},
      {"one\ntwo three", "one\ntwo three"},
      {"abcdefghijkl", "abcdefghijkl"},
      {"éééé éééé é", "éééé éééé \né"},
  };
  for (const Case& c : cases) {
    WordWrap wrap(10);
    EXPECT_EQ(wrap.add(c.text), c.shown) << c.text;
    WordWrap pieces(10);
    std::string shown;
    for (const char* at = c.text; *at != '\0'; ++at)
      shown += pieces.add(std::string_view(at, 1));
    EXPECT_EQ(shown, c.shown) << c.text << ", a byte at a time";
  }
}

}  // namespace
}  // namespace mlxr::cli
