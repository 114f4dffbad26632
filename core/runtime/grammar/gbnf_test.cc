#include "core/runtime/grammar/gbnf.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/grammar_testing.h"

namespace mlxr {
namespace {

using grammar_testing::gbnf;
using grammar_testing::matches;

struct Case {
  const char* source;
  std::vector<std::string> good;
  std::vector<std::string> bad;
};

TEST(Gbnf, ReadsItsNotation) {
  const Case cases[] = {
      {"root ::= \"yes\" | \"no\"", {"yes", "no"}, {"", "y", "yesno", "nope"}},
      {"root ::= \"\"", {""}, {"a"}},
      {"root ::= \"a\"*", {"", "a", "aaaa"}, {"b", "ab"}},
      {"root ::= \"a\"+ \"b\"?", {"a", "ab", "aab"}, {"", "b", "abb"}},
      {"root ::= [a-c]{2}", {"ab", "cc"}, {"a", "abc", "ad"}},
      {"root ::= [a-c]{2,}", {"ab", "ccab"}, {"a"}},
      {"root ::= ( \"a\" \"b\" ){1,3} \"c\"", {"abc", "abababc"}, {"c", "ababababc"}},
      {"root ::= [^\\n\"a-c]+", {"xyz", "\xc3\xa9\xf0\x9f\x98\x80"}, {"a", "x\n", "\"", "\xc3", "\xed\xa0\x80"}},
      {"root ::= . \"\\x41\\u00e9\\U0001F600\\t\"",
       {"zA\xc3\xa9\xf0\x9f\x98\x80\t", "\xc3\xa9\x41\xc3\xa9\xf0\x9f\x98\x80\t"},
       {"A"}},
      {"root ::= [\\x41-\\x43\\]\\-]+", {"ABC]-"}, {"D", "["}},
      {"# first\nroot ::= a # tail\n  | b\na ::= \"1\" |\n  \"2\"\nb ::= (\n \"3\"\n # inside\n)\n",
       {"1", "2", "3"},
       {"4"}},
      {"root::=a-b_c\r\na-b_c ::= [0-9]", {"0"}, {"a"}},
      {"root ::= <[7]> \"x\"", {}, {"x", "7x"}},
      {"root ::= [a-]+ [^]?", {"a-", "--a\n"}, {"b", "a\n\n"}},
  };
  for (const Case& c : cases) {
    const auto grammar = gbnf(c.source);
    ASSERT_NE(grammar, nullptr);
    for (const std::string& text : c.good)
      EXPECT_TRUE(matches(grammar, text)) << c.source << " should match " << text;
    for (const std::string& text : c.bad)
      EXPECT_FALSE(matches(grammar, text)) << c.source << " should not match " << text;
  }
}

TEST(Gbnf, MatchesContextFreeLanguages) {
  const Case cases[] = {
      // Right, left, indirect left and hidden left recursion.
      {"root ::= \"a\" root | \"b\"", {"b", "aaab"}, {"a", "ba"}},
      {"root ::= root \"a\" | \"b\"", {"b", "baaa"}, {"a", "ab"}},
      {"root ::= x \"1\" | \"r\"\nx ::= y \"2\" | \"x\"\ny ::= root \"3\" | \"y\"",
       {"r", "x1", "y21", "r321", "x1321", "y21321"},
       {"x", "r1", "r32", "y1"}},
      {"root ::= n root \"a\" | \"b\"\nn ::= \"n\"?", {"b", "ba", "nba", "nnbaa", "nbaa"}, {"nb", "nnba", "a"}},
      // Ambiguous in every way.
      {"root ::= root root | \"a\" | \"\"", {"", "a", "aaaaaaaa"}, {"b", "aab"}},
      {"root ::= e\ne ::= e \"+\" e | e \"*\" e | \"(\" e \")\" | [0-9]+",
       {"1", "1+2*3", "(1+2)*(3)"},
       {"+", "1+", "(1", "()"}},
      {"root ::= \"(\" root \")\" root | \"[\" root \"]\" root | \"\"", {"", "()[]", "([()])"}, {"(", "(]", ")("}},
      // Palindromes need every reading kept.
      {"root ::= \"a\" root \"a\" | \"b\" root \"b\" | \"a\" | \"b\" | \"\"",
       {"abba", "ababa", "aaaaa"},
       {"ab", "aab"}},
      {"root ::= a b | a c\na ::= \"x\" a \"y\" | \"\"\nb ::= \"p\" b | \"\"\nc ::= \"q\"",
       {"", "xxyypp", "xyq"},
       {"xyy", "pq", "xyqq"}},
      // Loops that read nothing.
      {"root ::= (\"\"* \"a\"?)* x\nx ::= x | y\ny ::= x | \"z\"", {"z", "aaz"}, {"", "a"}},
      {"root ::= (a | b)*\na ::= \"a\"*\nb ::= \"b\"*", {"", "abba"}, {"c"}},
      // Rules that can never be completed are as if they were not there.
      {"root ::= \"a\" never | \"b\"\nnever ::= \"x\" never", {"b"}, {"a", "ax"}},
  };
  for (const Case& c : cases) {
    const auto grammar = gbnf(c.source);
    ASSERT_NE(grammar, nullptr);
    for (const std::string& text : c.good)
      EXPECT_TRUE(matches(grammar, text)) << c.source << " should match " << text;
    for (const std::string& text : c.bad)
      EXPECT_FALSE(matches(grammar, text)) << c.source << " should not match " << text;
  }
}

TEST(Gbnf, CountsFar) {
  const auto grammar = gbnf("root ::= [ab]{300,1000} | ([x] [0-9]){0,777} \"!\"");
  for (const int count : {0, 299, 300, 301, 640, 999, 1000, 1001})
    EXPECT_EQ(matches(grammar, std::string(static_cast<std::size_t>(count), 'a')), count >= 300 && count <= 1000)
        << count;
  for (const int count : {0, 1, 127, 128, 129, 256, 776, 777, 778}) {
    std::string text;
    for (int i = 0; i < count; ++i)
      text += "x7";
    EXPECT_EQ(matches(grammar, text + "!"), count <= 777) << count;
  }
}

TEST(Gbnf, RefusesWithThePlace) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "grammar: there is no rule 'root'"},
      {"a ::= \"x\"", "grammar: there is no rule 'root'"},
      {"root ::= x", "grammar, line 1 column 10: rule 'x' is not defined"},
      {"root ::= \"a\"\nroot ::= \"b\"", "grammar, line 2 column 1: rule 'root' is defined twice"},
      {"root ::= \"a", "grammar, line 1 column 12: the text has no closing quote"},
      {"root ::= [a", "grammar, line 1 column 12: the character class has no closing bracket"},
      {"root ::= [z-a]", "grammar, line 1 column 14: the range of characters is backwards"},
      {"root ::= (\"a\"", "grammar, line 1 column 14: expected )"},
      {"root = \"a\"", "grammar, line 1 column 6: expected ::= behind 'root'"},
      {"root ::= \"\\q\"", "grammar, line 1 column 11: an unknown escape"},
      {"root ::= \"\\u12\"", "grammar, line 1 column 11: the escape needs 4 hexadecimal digits"},
      {"root ::= \"\\ud800\"", "grammar, line 1 column 11: the escape is no character"},
      {"root ::= \"a\"{3,2}", "grammar, line 1 column 13: the counts are backwards"},
      {"root ::= \"a\"{99999999999}", "grammar, line 1 column 14: the count is over the limit of 100000"},
      {"root ::= \"a\" )", "grammar, line 1 column 14: expected the end of the rule"},
      {"root ::= <think>", "grammar, line 1 column 10: the vocabulary has no token <think>"},
      {"root ::= !<[3]>", "grammar, line 1 column 10: negated tokens (!<...>) are not supported"},
      {"root ::= root \"a\"", "the grammar matches no text"},
      {"root ::= \"\xff\"", "grammar, line 1 column 11: the grammar is not UTF-8"},
  };
  for (const auto& [source, message] : cases) {
    const auto made = Grammar::from_gbnf(source);
    ASSERT_FALSE(made.ok()) << source;
    EXPECT_EQ(made.status().message(), message) << source;
  }
  const auto deep = Grammar::from_gbnf("root ::= " + std::string(5000, '(') + "\"a\"" + std::string(5000, ')'));
  ASSERT_FALSE(deep.ok());
  EXPECT_NE(deep.status().message().find("nested too deeply"), std::string::npos);
  const auto large = Grammar::from_gbnf("root ::= ((([a-z]{100} [b]){16} [c]){16} [d]){16}");
  ASSERT_FALSE(large.ok());
  EXPECT_EQ(large.status().code(), StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace mlxr
