#include "core/runtime/grammar/tagged_text.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/grammar_testing.h"

namespace mlxr {
namespace {

using grammar_testing::accept_bytes;
using grammar_testing::allowed;
using grammar_testing::disagreement;
using grammar_testing::gbnf;
using grammar_testing::kEnd;
using grammar_testing::matches;

constexpr TokenId kThinkEnd = 257;
constexpr TokenId kJoined = 258;

std::shared_ptr<const TokenTrie> trie_with_marks() {
  std::vector<TokenTrie::VocabularyToken> tokens;
  for (int byte = 0; byte < 256; ++byte)
    tokens.push_back({std::string(1, static_cast<char>(byte)), false, false});
  tokens.push_back({"", true, true});
  tokens.push_back({"", true, false});
  tokens.push_back({"l>{\"", false, false});
  tokens.push_back({"l>[", false, false});
  tokens.push_back({" some words", false, false});
  return TokenTrie::make(tokens);
}

std::shared_ptr<const Grammar> make(const std::vector<TextTag>& tags, const TextTagOptions& options = {}) {
  auto made = grammar_from_tags(tags, options);
  EXPECT_TRUE(made.ok()) << made.status().message();
  return made.ok() ? *made : nullptr;
}

TEST(TaggedText, LeavesTextFreeUntilATag) {
  const TextTag call{{"<call>", {}}, "", gbnf("root ::= \"{\" [a-z\"]* \"}\""), {"</call>", {}}};
  const auto grammar = make({call});
  for (const char* good :
       {"", "hello", "a < b <c <ca <call", "<call>{x}</call>", "text <call>{}</call> more <call>{y}</call>\n",
        "<<call>{}</call>", "<cal<call>{}</call>", "not utf-8: \xff \xc3"})
    EXPECT_TRUE(matches(grammar, good)) << good;
  for (const char* bad :
       {"<call>", "<call>x", "<call>{}", "<call>{1}</call>", "a<call>{}</call", "<<call>[", "x <call>{}</call> <call>"})
    EXPECT_FALSE(matches(grammar, bad)) << bad;
}

TEST(TaggedText, MayRequireOrLimitTags) {
  const TextTag call{{"<c>", {}}, "", gbnf("root ::= [0-9]"), {"</c>", {}}};
  const auto required = make({call}, {.required = true});
  EXPECT_FALSE(matches(required, "text"));
  EXPECT_TRUE(matches(required, "text <c>1</c>"));
  EXPECT_TRUE(matches(required, "<c>1</c> text <c>2</c> text"));
  const auto once = make({call}, {.repeated = false});
  EXPECT_TRUE(matches(once, "text"));
  EXPECT_TRUE(matches(once, "text <c>1</c>"));
  EXPECT_FALSE(matches(once, "text <c>1</c> "));
  const auto only = make({call}, {.required = true, .free_text = false});
  EXPECT_TRUE(matches(only, "<c>1</c>\n<c>2</c>"));
  EXPECT_FALSE(matches(only, "x<c>1</c>"));
  EXPECT_FALSE(matches(only, ""));
}

TEST(TaggedText, ChoosesAmongTagsOfATrigger) {
  const auto digits = gbnf("root ::= [0-9]+");
  const auto letters = gbnf("root ::= [a-z]+");
  const auto grammar = make({{{"<function=add>", {}}, "<function=", digits, {"</function>", {}}},
                             {{"<function=say>", {}}, "<function=", letters, {"</function>", {}}},
                             {{"[[", {}}, "", digits, {"]]", {}}}});
  for (const char* good : {"<function=add>12</function>", "ok <function=say>hi</function>[[3]]", "[ [x] <function"})
    EXPECT_TRUE(matches(grammar, good)) << good;
  for (const char* bad : {"<function=", "<function=mul>1</function>", "<function=add>hi</function>", "[[x", "a [[1]"})
    EXPECT_FALSE(matches(grammar, bad)) << bad;
}

TEST(TaggedText, BeginsBehindTheReasoning) {
  const auto trie = trie_with_marks();
  const auto made = grammar_after_mark({"</think>", kThinkEnd}, gbnf("root ::= \"{}\""));
  ASSERT_TRUE(made.ok()) << made.status().message();
  for (const bool as_token : {true, false}) {
    GrammarMatcher matcher(*made, trie);
    ASSERT_TRUE(accept_bytes(matcher, "Let me see: {} < \xf0\x9f\x98\x80"));
    EXPECT_FALSE(matcher.may_end());
    EXPECT_FALSE(allowed(matcher.mask(), kEnd));
    EXPECT_TRUE(allowed(matcher.mask(), kThinkEnd));
    EXPECT_EQ(disagreement(matcher, *trie), -1);
    ASSERT_TRUE(as_token ? matcher.accept(kThinkEnd) : accept_bytes(matcher, "</think>"));
    EXPECT_FALSE(allowed(matcher.mask(), 'x'));
    ASSERT_TRUE(accept_bytes(matcher, "\n\n{}"));
    EXPECT_TRUE(matcher.accept(kEnd));
  }
}

TEST(TaggedText, JudgesTokensThatReachOverATag) {
  const auto trie = trie_with_marks();
  const auto grammar = make({{{"<call>", {}}, "", gbnf("root ::= \"{\\\"\" [a-z]* \"\\\"}\""), {"</call>", {}}}});
  GrammarMatcher matcher(grammar, trie);
  ASSERT_TRUE(accept_bytes(matcher, "x <cal"));
  EXPECT_TRUE(allowed(matcher.mask(), kJoined));
  EXPECT_FALSE(allowed(matcher.mask(), kJoined + 1));
  EXPECT_EQ(disagreement(matcher, *trie), -1);
  ASSERT_TRUE(matcher.accept(kJoined));
  EXPECT_FALSE(matcher.may_end());
  ASSERT_TRUE(accept_bytes(matcher, "a\"}</call>"));
  EXPECT_TRUE(matcher.may_end());
  EXPECT_TRUE(allowed(matcher.mask(), kThinkEnd));  // other special tokens are free text's
  EXPECT_EQ(disagreement(matcher, *trie), -1);
}

TEST(TaggedText, NestsInEachOther) {
  const auto calls = make({{{"<c>", {}}, "", gbnf("root ::= [0-9]"), {"</c>", {}}}});
  const auto made = grammar_after_mark({"</think>", {}}, calls);
  ASSERT_TRUE(made.ok());
  EXPECT_TRUE(matches(*made, "thinking of <c>x</c> ...</think>Answer <c>1</c>."));
  EXPECT_FALSE(matches(*made, "</think>Answer <c>x"));
}

TEST(TaggedText, RefusesWhatIsUnclear) {
  const auto digits = gbnf("root ::= [0-9]");
  const auto error = [](std::vector<TextTag> tags) { return grammar_from_tags(tags).status().message(); };
  EXPECT_EQ(error({}), "tags: there are none");
  EXPECT_EQ(error({{{"", {}}, "", digits, {}}}), "tags: number 1 has no begin");
  EXPECT_EQ(error({{{"<a>", {}}, "", nullptr, {}}}), "tags: number 1 has no content");
  EXPECT_EQ(error({{{"<a>", {}}, "<b", digits, {}}}), "tags: the trigger of number 1 does not begin it");
  EXPECT_EQ(error({{{"<a>", {}}, "", digits, {}}, {{"x<a>y", {}}, "", digits, {}}}),
            "tags: the trigger '<a>' is part of the trigger 'x<a>y'");
  EXPECT_EQ(grammar_after_mark({}, digits).status().message(), "mark: it has neither text nor token");
}

}  // namespace
}  // namespace mlxr
