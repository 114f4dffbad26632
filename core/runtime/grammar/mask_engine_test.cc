// Masks against what the matcher accepts token by token, over vocabularies and grammars in which whole sets of tokens
// are decided without a look at each.

#include "core/runtime/grammar/mask_engine.h"

#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/runtime/grammar/tagged_text.h"
#include "tests/support/grammar_testing.h"

namespace mlxr {
namespace {

using grammar_testing::allowed;
using grammar_testing::byte_trie;
using grammar_testing::gbnf;

// Words, punctuation, broken characters and long runs: all lengths on both sides of every slice.
const std::shared_ptr<const TokenTrie>& vocabulary() {
  static const std::shared_ptr<const TokenTrie> trie = [] {
    std::mt19937 random(7);
    const std::vector<std::string> pieces = {
        "a", "e",           "the", " ", "ing", "0",  "12",   "\xc3\xa9", "\xe6\x97\xa5",
        "-", ".",           ",",   "<", ">",   "\"", "\\",   "\n",       "\t",
        "{", "}",           "[",   "]", ":",   "/",  "tool", "\\u00e9",  "\\n",
        "@", "\xe2\x80\xa8"};
    std::vector<std::string> tokens = {"\xe6", "\x97\xa5", "\xa9", "\"\xc3", "<tool", "</tool>", "\", \"", "\":"};
    for (int i = 0; i < 700; ++i) {
      std::string token;
      const std::size_t plain = random() % 3;  // most are text alone
      const std::size_t count = 1 + random() % (i % 10 == 0 ? 60 : 8);
      for (std::size_t k = 0; k < count; ++k)
        token += pieces[random() % (plain > 0 ? 12 : pieces.size())];
      tokens.push_back(token);
    }
    for (const std::size_t length : {15U, 16U, 17U, 31U, 32U, 33U, 127U, 128U, 129U, 300U})
      for (const char* piece : {"a", " ", "-", "0", "\xc3\xa9"}) {
        std::string token;
        while (token.size() < length)
          token += piece;
        tokens.push_back(token);
        tokens.push_back(token + "\"");
        tokens.push_back("\"" + token);
      }
    return byte_trie(tokens);
  }();
  return trie;
}

// The first token about which the mask and the matcher disagree, or -1.
TokenId wrong_bit(GrammarMatcher& matcher) {
  const std::span<const std::uint64_t> bits = matcher.mask();
  const std::vector<std::uint64_t> mask(bits.begin(), bits.end());
  for (std::size_t i = 0; i < vocabulary()->vocab_size(); ++i) {
    const auto token = static_cast<TokenId>(i);
    if ((matcher.would_accept({&token, 1}) == 1) != allowed(mask, token)) return token;
  }
  return -1;
}

std::string repeat(std::string_view text, int count) {
  std::string out;
  for (int i = 0; i < count; ++i)
    out += text;
  return out;
}

struct MaskCase {
  const char* name;
  std::shared_ptr<const Grammar> grammar;
  std::string text;
  int stride;  // bytes between two looks
};

std::vector<MaskCase> mask_cases() {
  const auto schema = [](const char* source) {
    auto made = Grammar::from_json_schema(source);
    EXPECT_TRUE(made.ok()) << made.status().message();
    return *made;
  };
  const auto regex = [](const char* source) {
    auto made = Grammar::from_regex(source);
    EXPECT_TRUE(made.ok()) << made.status().message();
    return *made;
  };
  const TextTag tag{{"<tool>", {}}, "", schema(R"({"type": "object"})"), {"</tool>", {}}};
  auto tags = grammar_from_tags({&tag, 1});
  EXPECT_TRUE(tags.ok());
  return {
      {"short string", schema(R"({"type": "string", "maxLength": 40})"), "\"" + repeat("ab\\n\xc3\xa9 ", 8) + "\"", 1},
      {"long string", schema(R"({"type": "string", "maxLength": 1000})"), "\"" + repeat("words and \\\" ", 80) + "\"",
       37},
      {"end of a long string", schema(R"({"type": "string", "maxLength": 300})"), "\"" + repeat("\xe6\x97\xa5x", 150),
       19},
      {"huge string", schema(R"({"type": "string", "maxLength": 20000})"), "\"" + repeat("words, ", 60), 31},
      {"least length", schema(R"({"type": "string", "minLength": 200})"), "\"" + repeat("a-", 120) + "\"", 11},
      {"lengths", schema(R"({"type": "string", "minLength": 20, "maxLength": 150})"), "\"" + repeat("0 ", 75) + "\"",
       7},
      {"arrays", schema(R"({"type": "array", "items": {"type": "string", "maxLength": 9}, "maxItems": 300})"),
       "[" + repeat("\"ab\", ", 40) + "\"\"]", 13},
      {"objects", schema(R"({"type": "object", "properties": {"a": {"type": "string", "maxLength": 200},
        "b": {"type": "string", "pattern": "^[a-z0-9-]{1,60}$"}}, "additionalProperties": false})"),
       "{\"a\": \"" + repeat("the tool\\u00e9", 16) + "\", \"b\": \"" + repeat("a-0", 20) + "\"}", 5},
      {"any text", regex("(?:.|\\n)*"), repeat("a<b\n\"", 4), 3},
      {"lines", regex("(?:.{1,200}\\n){1,200}"), repeat(repeat("the <", 30) + "\n", 3), 23},
      {"nested counts", gbnf("root ::= ([a-e]{2,70} \" \"){3,500} \"!\""), repeat("abcde ", 30), 9},
      {"counts of what may be empty", gbnf("root ::= ([a-e]? [0-9]?){0,700} \".\""), repeat("a0", 40), 9},
      {"tags", *tags, "text < text <too <tool>{\"a\": \"" + repeat("x ", 20) + "\"}</tool> and so on", 2},
  };
}

TEST(MaskEngine, AgreesWithTheMatcherEverywhere) {
  for (MaskCase& c : mask_cases()) {
    GrammarMatcher matcher(c.grammar, vocabulary());
    for (std::size_t i = 0; i < c.text.size(); ++i) {
      if (i % static_cast<std::size_t>(c.stride) == 0) {
        const TokenId wrong = wrong_bit(matcher);
        ASSERT_EQ(wrong, -1) << c.name << " after " << i << " bytes, token '" << vocabulary()->spelling(wrong) << "'";
      }
      ASSERT_TRUE(matcher.accept(static_cast<unsigned char>(c.text[i]))) << c.name << " byte " << i;
    }
    ASSERT_EQ(wrong_bit(matcher), -1) << c.name;
    ASSERT_TRUE(matcher.status().ok());
  }
}

TEST(MaskEngine, AgreesAlongRandomTokens) {
  for (MaskCase& c : mask_cases()) {
    std::mt19937 random(3);
    GrammarMatcher matcher(c.grammar, vocabulary());
    for (int step = 0; step < 25 && !matcher.ended(); ++step) {
      ASSERT_EQ(wrong_bit(matcher), -1) << c.name << " step " << step;
      std::vector<TokenId> choices;
      const auto mask = matcher.mask();
      for (std::size_t i = 0; i < vocabulary()->vocab_size(); ++i)
        if (allowed(mask, static_cast<TokenId>(i))) choices.push_back(static_cast<TokenId>(i));
      ASSERT_FALSE(choices.empty()) << c.name;
      ASSERT_TRUE(matcher.accept(choices[random() % choices.size()]));
    }
  }
}

}  // namespace
}  // namespace mlxr
