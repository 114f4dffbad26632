#include "core/runtime/tokenizer/regex.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/runtime/tokenizer/pretokenizer_names.h"
#include "core/runtime/tokenizer/regex_dialect.h"

namespace mlxr {
namespace {

std::vector<std::string> matches(const std::string& pattern, const std::string& text) {
  const auto regex = Regex::compile(pattern);
  EXPECT_TRUE(regex.ok()) << regex.status().message();
  std::vector<std::string> out;
  if (!regex.ok()) return out;
  Regex::Search search(*regex);
  search.start(text);
  TextRange match;
  while (search.next(match))
    out.push_back(text.substr(match.begin, match.end - match.begin));
  return out;
}

using Strings = std::vector<std::string>;

TEST(Regex, ReadsOnigurumasDialect) {
  EXPECT_EQ(matches(R"(\s)", "a\xE1\xA0\x8E\xC2\x85 b"), (Strings{"\xC2\x85", " "}));  // not U+180E
  EXPECT_EQ(matches(R"([\S\n]+)", "a b\nc"), (Strings{"a", "b\nc"}));
  EXPECT_EQ(matches(R"(\h+)", "xyz0aFg"), (Strings{"0aF"}));
  EXPECT_EQ(matches(R"((?m:.+))", "a\nb"), (Strings{"a\nb"}));
  EXPECT_EQ(matches(R"(.+)", "a\nb"), (Strings{"a", "b"}));
  EXPECT_EQ(matches(R"(^\w$)", "a\nb\ncc"), (Strings{"a", "b"}));
  EXPECT_EQ(matches(R"([a-z&&[^aeiou]]+)", "strange"), (Strings{"str", "ng"}));
  EXPECT_EQ(matches(R"([^a-z&&[^aeiou]]+)", "strange!"), (Strings{"a", "e!"}));
  EXPECT_EQ(matches(R"([[ab][cd]x]+)", "abcdxyz"), (Strings{"abcdx"}));
  EXPECT_EQ(matches(R"([]a]+)", "]a["), (Strings{"]a"}));
  EXPECT_EQ(matches(R"(\p{Letter}+)", "ab1"), (Strings{"ab"}));
  EXPECT_EQ(matches(R"(\p{^L}+)", "ab1"), (Strings{"1"}));
  EXPECT_EQ(matches(R"(\p{Han}+)", "\xE4\xB8\x80\xE3\x80\x81"), (Strings{"\xE4\xB8\x80"}));
  EXPECT_EQ(matches(R"((?i:'S))", "'s'\xC5\xBF"), (Strings{"'s", "'\xC5\xBF"}));
  EXPECT_EQ(matches(R"([[:alpha:]]+)", "ab1"), (Strings{"ab"}));
}

TEST(Regex, FindsEmptyMatchesOnce) {
  EXPECT_EQ(matches("(?=b)", "abb").size(), 2u);
  EXPECT_EQ(matches("x*", "axb"), (Strings{"", "x", ""}));  // not the empty one that touches "x"
}

TEST(Regex, RefusesBrokenPatterns) {
  for (const std::string& pattern : {std::string("(a"), std::string("[a"), std::string("a{2,1}"), std::string("\\C"),
                                     std::string("\xFF"), std::string(100000, 'a'), std::string(64, '[')}) {
    const auto regex = Regex::compile(pattern);
    ASSERT_FALSE(regex.ok()) << pattern;
    EXPECT_EQ(regex.status().code(), StatusCode::kInvalidArgument);
  }
}

TEST(Regex, GivesUpOnExponentialPatterns) {
  const auto regex = Regex::compile("(a+)+(b+)+c");
  ASSERT_TRUE(regex.ok());
  EXPECT_FALSE(regex->linear());
  Regex::Search search(*regex);
  search.start(std::string_view("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb!"));
  TextRange match;
  EXPECT_FALSE(search.next(match));
}

TEST(Regex, KnowsWhichNamedPatternsAreLinear) {
  for (const PreTokenizerRow& row : pre_tokenizer_rows()) {
    for (const std::string_view pattern : row.patterns) {
      const auto regex = Regex::compile(pattern);
      ASSERT_TRUE(regex.ok()) << regex.status().message();
      const bool rescans = pattern.find(R"(\d{3})") != std::string_view::npos || pattern == R"(\s+$)";
      EXPECT_EQ(regex->linear(), !rescans) << row.name << ": " << pattern;
    }
  }
}

}  // namespace
}  // namespace mlxr
