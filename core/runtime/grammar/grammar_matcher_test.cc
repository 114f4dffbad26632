#include "core/runtime/grammar/grammar_matcher.h"

#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/runtime/grammar/mask_engine.h"
#include "tests/support/grammar_testing.h"

namespace mlxr {
namespace {

using grammar_testing::accept_bytes;
using grammar_testing::allowed;
using grammar_testing::byte_trie;
using grammar_testing::disagreement;
using grammar_testing::gbnf;
using grammar_testing::kEnd;

constexpr const char* kJson = R"(
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws
object ::= "{" ws ( string ":" ws value ("," ws string ":" ws value)* )? "}" ws
array  ::= "[" ws ( value ("," ws value)* )? "]" ws
string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) )* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws
ws ::= | " " | "\n" [ \t]{0,20}
)";

constexpr const char* kGrammars[] = {
    kJson,
    "root ::= root \"a\" | \"b\" root \"c\" | [x-z]+",
    "root ::= word (\" \" word)*\nword ::= [a-z]+ | [a-z]* [0-9]",
    "root ::= e\ne ::= e \"+\" e | \"(\" e \")\" | [0-9]+ | \"\\\"\" [^\"\\\\]{0,12} \"\\\"\"",
    "root ::= s s s \"!\"\ns ::= \"\\\"\" [^\"]* \"\\\"\" | [a-f]{1,20}",
    "root ::= \"a\" root \"a\" | \"b\" root \"b\" | [ab]?",
    "root ::= <[256]> \"x\" <[300]> | \"<\" [a-z]* \">\"",
};

// Letters, quotes, brackets and digits alone and in every short mix, long words, pieces of characters.
std::vector<std::string> some_tokens() {
  std::vector<std::string> out{"",
                               "hello",
                               " world",
                               "hello world, this is text",
                               std::string(40, 'x'),
                               "\xc3\xa9",
                               "\xc3\xa9t\xc3\xa9",
                               "\xe2\x82",
                               "\xac",
                               "\xf0\x9f\x98\x80",
                               "a\xc3",
                               "\"a\xc3",
                               "true",
                               "null}",
                               "\": \"",
                               "\",\n    \"",
                               "{\"",
                               "\"}",
                               "}}",
                               "\\n",
                               "\\u00e9",
                               "\\\"",
                               "\n  ",
                               "\n\n"};
  const std::string signs = "ab0\"{}[]:, +(!\\";
  for (const char a : signs) {
    for (const char b : signs) {
      out.push_back({a, b});
      out.push_back({a, b, signs[(out.size() * 7) % signs.size()]});
    }
  }
  return out;
}

TEST(GrammarMatcher, MasksAreWhatIsAccepted) {
  const auto trie = byte_trie(some_tokens());
  for (const char* source : kGrammars) {
    const auto grammar = gbnf(source);
    std::mt19937 random(1);
    for (int text = 0; text < 6; ++text) {
      GrammarMatcher matcher(grammar, trie);
      for (int step = 0; step < 30 && !matcher.ended(); ++step) {
        ASSERT_EQ(disagreement(matcher, *trie), -1) << source << " step " << step;
        std::vector<TokenId> choices;
        const auto mask = matcher.mask();
        for (std::size_t i = 0; i < trie->vocab_size(); ++i)
          if (allowed(mask, static_cast<TokenId>(i))) choices.push_back(static_cast<TokenId>(i));
        // What was accepted can always be completed.
        ASSERT_FALSE(choices.empty()) << source;
        ASSERT_TRUE(matcher.accept(choices[random() % choices.size()]));
      }
    }
  }
}

TEST(GrammarMatcher, TakesTokensBack) {
  const auto trie = byte_trie(some_tokens());
  for (const char* source : kGrammars) {
    const auto grammar = gbnf(source);
    GrammarMatcher matcher(grammar, trie);
    std::mt19937 random(2);
    std::vector<std::vector<std::uint64_t>> masks;
    for (int step = 0; step < 200; ++step) {
      const auto bits = matcher.mask();
      const std::vector<std::uint64_t> mask(bits.begin(), bits.end());
      std::vector<TokenId> choices;
      for (std::size_t i = 0; i < trie->vocab_size(); ++i)
        if (allowed(mask, static_cast<TokenId>(i))) choices.push_back(static_cast<TokenId>(i));
      if (!masks.empty() && (choices.empty() || random() % 3 == 0)) {
        const std::size_t count = 1 + random() % masks.size();
        matcher.rollback(static_cast<std::int64_t>(count));
        const auto again = matcher.mask();
        ASSERT_TRUE(std::equal(again.begin(), again.end(), masks[masks.size() - count].begin())) << source;
        masks.resize(masks.size() - count);
        continue;
      }
      masks.push_back(mask);
      ASSERT_TRUE(matcher.accept(choices[random() % choices.size()]));
    }
  }
}

TEST(GrammarMatcher, EndsOnlyWhereTheTextMay) {
  const auto trie = byte_trie();
  GrammarMatcher matcher(gbnf("root ::= \"ab\" \"c\"?"), trie);
  EXPECT_FALSE(matcher.accept(kEnd));
  EXPECT_FALSE(allowed(matcher.mask(), kEnd));
  ASSERT_TRUE(accept_bytes(matcher, "ab"));
  EXPECT_TRUE(matcher.may_end());
  EXPECT_TRUE(allowed(matcher.mask(), kEnd));
  const auto fork = matcher.fork();
  EXPECT_TRUE(matcher.accept(kEnd));
  EXPECT_TRUE(matcher.ended());
  EXPECT_FALSE(matcher.accept('c'));
  EXPECT_FALSE(allowed(matcher.mask(), 'c'));
  EXPECT_FALSE(fork->ended());
  EXPECT_TRUE(fork->accept('c'));
  matcher.rollback(1);
  EXPECT_FALSE(matcher.ended());
  EXPECT_TRUE(matcher.accept('c'));
}

TEST(GrammarMatcher, LooksAheadWithoutMoving) {
  const auto trie = byte_trie();
  GrammarMatcher matcher(gbnf("root ::= [0-9]+ \"!\""), trie);
  const TokenId tokens[] = {'1', '2', '!', kEnd, '3'};
  EXPECT_EQ(matcher.would_accept(tokens), 4U);
  EXPECT_EQ(matcher.would_accept(std::span(tokens).subspan(2)), 0U);
  EXPECT_TRUE(matcher.accept('7'));
  EXPECT_EQ(matcher.would_accept(std::span(tokens).subspan(2)), 2U);
}

TEST(GrammarMatcher, NamesForcedBytes) {
  const auto trie = byte_trie();
  GrammarMatcher matcher(gbnf("root ::= \"{\\\"name\\\": \" ([0-9] | [a-z]) \"}\" \"!\"?"), trie);
  EXPECT_EQ(matcher.forced_bytes(), "{\"name\": ");
  ASSERT_TRUE(accept_bytes(matcher, "{\"na"));
  EXPECT_EQ(matcher.forced_bytes(), "me\": ");
  ASSERT_TRUE(accept_bytes(matcher, "me\": 5"));
  EXPECT_EQ(matcher.forced_bytes(), "}");
  ASSERT_TRUE(accept_bytes(matcher, "}"));
  EXPECT_EQ(matcher.forced_bytes(), "");
}

TEST(GrammarMatcher, TokensStandForThemselves) {
  const auto trie = byte_trie();
  GrammarMatcher matcher(gbnf("root ::= \"a\" <[256]> \"b\""), trie);
  ASSERT_TRUE(matcher.accept('a'));
  EXPECT_TRUE(allowed(matcher.mask(), kEnd));
  EXPECT_TRUE(matcher.accept(kEnd));
  EXPECT_FALSE(matcher.ended());
  EXPECT_TRUE(matcher.accept('b'));
  EXPECT_TRUE(matcher.may_end());
}

TEST(GrammarMatcher, OutlivesTheCache) {
  GrammarOptions options;
  options.limits.cache_bytes = 1;  // a new engine at every step
  const auto small = gbnf(kJson, options);
  const auto large = gbnf(kJson);
  const auto trie = byte_trie(some_tokens());
  GrammarMatcher a(small, trie);
  GrammarMatcher b(large, trie);
  for (const char byte : std::string_view("{\"a\": [[1, {\"b\": \"c\\n\"}], true]}")) {
    ASSERT_TRUE(a.accept(static_cast<unsigned char>(byte)));
    ASSERT_TRUE(b.accept(static_cast<unsigned char>(byte)));
    const auto mask = a.mask();
    const auto expected = b.mask();
    ASSERT_TRUE(std::equal(mask.begin(), mask.end(), expected.begin()));
  }
  EXPECT_TRUE(a.may_end());
  a.rollback(20);
  b.rollback(20);
  EXPECT_TRUE(std::ranges::equal(a.mask(), b.mask()));
}

TEST(GrammarMatcher, SaysWhenAGrammarIsTooAmbiguous) {
  GrammarOptions options;
  options.limits.max_places = 50;
  // A text that may end after 1 to 200 of as many letters.
  std::string source = "root ::= ";
  for (int i = 0; i < 100; ++i)
    source += (i > 0 ? " | a" : "a") + std::to_string(i);
  for (int i = 0; i < 100; ++i)
    source += "\na" + std::to_string(i) + " ::= \"x\" a" + std::to_string(i) + " \"" +
              std::string(1, static_cast<char>('a' + i % 26)) + std::to_string(i) + "\" | \"y\"";
  const auto grammar = gbnf(source, options);
  GrammarMatcher matcher(grammar, byte_trie());
  for (int i = 0; i < 10 && matcher.status().ok(); ++i)
    matcher.accept('x');
  EXPECT_FALSE(matcher.status().ok());
  for (const std::uint64_t word : matcher.mask())
    EXPECT_EQ(word, 0U);
  EXPECT_FALSE(matcher.accept('x'));
}

// Memory stays what the nesting needs, however long the text.
TEST(GrammarMatcher, KeepsNothingOfLongTexts) {
  const auto grammar = gbnf(kJson);
  const auto trie = byte_trie();
  GrammarMatcher matcher(grammar, trie);
  ASSERT_TRUE(accept_bytes(matcher, "{\"a\":["));
  for (int i = 0; i < 3; ++i)
    ASSERT_TRUE(accept_bytes(matcher, "{\"b\":[1,\"x\"]},"));
  const std::size_t configs = grammar->engine(trie)->machine().num_configs();
  for (int i = 0; i < 2000; ++i)
    ASSERT_TRUE(accept_bytes(matcher, "{\"b\":[1,\"x\"]},"));
  EXPECT_EQ(grammar->engine(trie)->machine().num_configs(), configs);
}

}  // namespace
}  // namespace mlxr
