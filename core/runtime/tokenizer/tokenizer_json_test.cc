#include "core/runtime/tokenizer/tokenizer_json.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/io/json_file.h"
#include "core/runtime/tokenizer/load_tokenizer.h"
#include "core/runtime/tokenizer/stream_decoder.h"
#include "tests/support/paths.h"

namespace mlxr {
namespace {

using nlohmann::json;

std::unique_ptr<Tokenizer> load(const std::string& path) {
  auto loaded = load_tokenizer(path);
  EXPECT_TRUE(loaded.ok()) << loaded.status().message();
  return loaded.ok() ? std::move(loaded).value() : nullptr;
}

// Ids that the Python package tokenizers gives (scripts/make_tokenizer_golden.py).
void expect_golden(const Tokenizer& tokenizer, const std::string& golden_path) {
  const auto golden = read_json_file(golden_path);
  ASSERT_TRUE(golden.ok()) << golden.status().message();
  for (const json& c : golden->at("cases")) {
    const std::string text = c.at("text").get<std::string>();
    const auto ids = tokenizer.encode(text);
    EXPECT_EQ(ids, c.at("ids").get<std::vector<TokenId>>()) << text;
    if (c.contains("plain_ids")) {
      EXPECT_EQ(tokenizer.encode(text, {.parse_special = false}), c.at("plain_ids").get<std::vector<TokenId>>())
          << text;
    }
    if (c.contains("decoded")) {
      EXPECT_EQ(tokenizer.decode(ids), c.at("decoded").get<std::string>()) << text;
    }
  }
}

TEST(TokenizerJson, SproutMatchesTokenizers) {
  const auto tokenizer = load(test::fixture("tokenizer/sprout"));
  ASSERT_NE(tokenizer, nullptr);
  EXPECT_EQ(tokenizer->vocab_size(), 8192u);
  expect_golden(*tokenizer, test::fixture("tokenizer/sprout/golden.json"));
}

TEST(TokenizerJson, ByteLevelMatchesTokenizers) {
  const auto tokenizer = load(test::fixture("tokenizer/bytelevel/tokenizer.json"));
  ASSERT_NE(tokenizer, nullptr);
  expect_golden(*tokenizer, test::fixture("tokenizer/bytelevel/golden.json"));
}

TEST(TokenizerJson, MetaspaceMatchesTokenizers) {
  const auto tokenizer = load(test::fixture("tokenizer/metaspace"));
  ASSERT_NE(tokenizer, nullptr);
  expect_golden(*tokenizer, test::fixture("tokenizer/metaspace/golden.json"));
}

TEST(TokenizerJson, SproutKnowsItsSpecialTokens) {
  const auto tokenizer = load(test::fixture("tokenizer/sprout"));
  ASSERT_NE(tokenizer, nullptr);
  EXPECT_EQ(tokenizer->special().bos, 0);
  EXPECT_EQ(tokenizer->special().eos, 2);
  EXPECT_EQ(tokenizer->special().eot, 2);
  EXPECT_EQ(tokenizer->special().pad, 5);
  EXPECT_EQ(tokenizer->special().end_of_generation, (std::vector<TokenId>{0, 2}));
  EXPECT_TRUE(tokenizer->is_special(1));
  EXPECT_FALSE(tokenizer->is_special(300));
  EXPECT_EQ(tokenizer->find_piece("<|im_start|>"), 1);
  EXPECT_FALSE(tokenizer->find_piece("no such piece").has_value());
  EXPECT_FALSE(tokenizer->adds_bos());
}

TEST(TokenizerJson, EveryByteSurvives) {
  const auto tokenizer = load(test::fixture("tokenizer/sprout"));
  ASSERT_NE(tokenizer, nullptr);
  std::string all;
  for (int round = 0; round < 3; ++round) {
    for (int b = 0; b < 256; ++b)
      all += static_cast<char>((b * (2 * round + 1)) & 0xFF);
    all += "  mixed \xF0\x9F\x98\x80 text\n";
  }
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(all, {.parse_special = false})), all);
}

TEST(TokenizerJson, StreamsEveryTextInWholeCharacters) {
  const auto tokenizer = load(test::fixture("tokenizer/sprout"));
  ASSERT_NE(tokenizer, nullptr);
  const std::string text = "caf\xC3\xA9 \xF0\x9F\x91\x8D\xF0\x9F\x8F\xBD \xE4\xBD\xA0\xE5\xA5\xBD <|im_end|> x";
  StreamDecoder decoder(*tokenizer, {.skip_special = false});
  std::string streamed;
  for (const TokenId id : tokenizer->encode(text))
    streamed += decoder.push(id);
  EXPECT_EQ(streamed + decoder.flush(), text);
}

// A small tokenizer.json whose vocabulary is the byte alphabet's letters and a few merges, with `changes` on top.
json small_tokenizer(const json& changes = json::object()) {
  json out = {
      {"added_tokens", json::array()},
      {"normalizer", nullptr},
      {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}},
      {"post_processor", nullptr},
      {"decoder", {{"type", "ByteLevel"}}},
      {"model",
       {{"type", "BPE"},
        {"vocab",
         {{"a", 0}, {"b", 1}, {"c", 2}, {"\u0120", 3}, {"ab", 4}, {"\u0120a", 5}, {"abc", 6}, {"1", 7}, {"!", 8}}},
        {"merges", json::array({"a b", "\u0120 a", "ab c"})}}}};
  out.merge_patch(changes);
  return out;
}

json added(int id, const std::string& content, const json& flags = json::object()) {
  json out = {{"id", id}, {"content", content}, {"special", false}, {"normalized", false}};
  out.merge_patch(flags);
  return out;
}

TEST(TokenizerJson, AddedTokensFollowTheirFlags) {
  struct Case {
    const char* flags;
    const char* text;
    bool parse_special;
    std::vector<TokenId> ids;
  };
  // Token 9 is "<x>"; expectations from the Python package tokenizers 0.23.
  const std::vector<Case> cases = {
      {"{}", "a<x>b", true, {0, 9, 1}},
      {"{}", "a <x> b", true, {0, 3, 9, 3, 1}},
      {R"({"lstrip": true})", "a <x> b", true, {0, 9, 3, 1}},
      {R"({"rstrip": true})", "a <x> b", true, {0, 3, 9, 1}},
      {R"({"lstrip": true, "rstrip": true})", " <x>  <x> ", true, {9, 9}},
      {R"({"single_word": true})", "a<x> <x>", true, {0, 3, 9}},
      {R"({"special": true})", "a<x>b", true, {0, 9, 1}},
      {R"({"special": true})", "a<x>b", false, {0, 1}},  // "<", "x" and ">" have no tokens
      {R"({"special": false})", "a<x>b", false, {0, 9, 1}},
  };
  for (const Case& c : cases) {
    json tokenizer = small_tokenizer();
    tokenizer["added_tokens"] = json::array({added(9, "<x>", json::parse(c.flags))});
    const auto loaded = tokenizer_from_json(tokenizer, json());
    ASSERT_TRUE(loaded.ok()) << loaded.status().message();
    EXPECT_EQ((*loaded)->encode(c.text, {.parse_special = c.parse_special}), c.ids) << c.flags << " " << c.text;
  }
}

TEST(TokenizerJson, TheLongestAddedTokenWins) {
  json tokenizer = small_tokenizer();
  tokenizer["added_tokens"] = json::array({added(9, "aa"), added(10, "aab")});
  const auto loaded = tokenizer_from_json(tokenizer, json());
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_EQ((*loaded)->encode("aaabaa"), (std::vector<TokenId>{9, 4, 9}));
  EXPECT_EQ((*loaded)->encode("caab"), (std::vector<TokenId>{2, 10}));
}

TEST(TokenizerJson, TemplateGoesAroundTheText) {
  const json post = {
      {"type", "Sequence"},
      {"processors",
       {{{"type", "ByteLevel"}},
        {{"type", "TemplateProcessing"},
         {"single",
          {{{"SpecialToken", {{"id", "<s>"}}}}, {{"Sequence", {{"id", "A"}}}}, {{"SpecialToken", {{"id", "</s>"}}}}}},
         {"special_tokens", {{"<s>", {{"ids", {9}}}}, {"</s>", {{"ids", {10}}}}}}}}}};
  json tokenizer = small_tokenizer({{"post_processor", post}});
  tokenizer["added_tokens"] =
      json::array({added(9, "<s>", {{"special", true}}), added(10, "</s>", {{"special", true}})});
  const json config = {{"bos_token", "<s>"}, {"eos_token", {{"content", "</s>"}}}};
  const auto loaded = tokenizer_from_json(tokenizer, config);
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_EQ((*loaded)->encode("ab", {.add_special = true}), (std::vector<TokenId>{9, 4, 10}));
  EXPECT_EQ((*loaded)->encode("ab"), (std::vector<TokenId>{4}));
  EXPECT_TRUE((*loaded)->adds_bos());
  EXPECT_EQ((*loaded)->decode(std::vector<TokenId>{9, 4, 10}, {.skip_special = true}), "ab");
  EXPECT_EQ((*loaded)->decode(std::vector<TokenId>{9, 4, 10}), "<s>ab</s>");
}

TEST(TokenizerJson, IgnoreMergesTakesWholeWords) {
  const json vocab = {{"model", {{"ignore_merges", true}, {"merges", json::array({"a b"})}}}};
  const auto loaded = tokenizer_from_json(small_tokenizer(vocab), json());
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ((*loaded)->encode("abc"), (std::vector<TokenId>{6}));
  const auto merged = tokenizer_from_json(small_tokenizer({{"model", {{"merges", json::array({"a b"})}}}}), json());
  EXPECT_EQ((*merged)->encode("abc"), (std::vector<TokenId>{4, 2}));
}

TEST(TokenizerJson, RefusesWithOneLine) {
  struct Case {
    const char* changes;
    StatusCode code;
    const char* fragment;
  };
  const std::vector<Case> cases = {
      {R"({"model": {"type": "Unigram"}})", StatusCode::kUnsupported, "\"Unigram\""},
      {R"({"model": {"type": "WordPiece"}})", StatusCode::kUnsupported, "\"WordPiece\""},
      {R"({"model": null})", StatusCode::kCorrupt, "no \"model\""},
      {R"({"model": {"vocab": [1]}})", StatusCode::kCorrupt, "\"vocab\""},
      {R"({"model": {"vocab": {"x": -1}}})", StatusCode::kCorrupt, "id of token \"x\""},
      {R"({"model": {"vocab": {"x": 4000000000}}})", StatusCode::kCorrupt, "out of proportion"},
      {R"({"model": {"vocab": {"x": 0}}})", StatusCode::kCorrupt, "same id 0"},
      {R"({"model": {"merges": ["a z"]}})", StatusCode::kCorrupt, "merge 0: \"z\""},
      {R"({"model": {"merges": ["ab"]}})", StatusCode::kCorrupt, "merge 0 is not a pair"},
      {R"({"model": {"merges": [["a", 3]]}})", StatusCode::kCorrupt, "merge 0 is not a pair"},
      {R"({"model": {"merges": null}})", StatusCode::kCorrupt, "\"merges\""},
      {R"({"model": {"end_of_word_suffix": "</w>"}})", StatusCode::kUnsupported, "end_of_word_suffix"},
      {R"({"pre_tokenizer": {"type": "BertPreTokenizer"}})", StatusCode::kUnsupported, "\"BertPreTokenizer\""},
      {R"({"pre_tokenizer": {"type": "Sequence"}})", StatusCode::kCorrupt, "\"pretokenizers\""},
      {R"({"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(a"}, "behavior": "Isolated"}})",
       StatusCode::kInvalidArgument, "bad pattern"},
      {R"({"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "[a"}, "behavior": "Isolated"}})",
       StatusCode::kInvalidArgument, "not closed"},
      {R"({"normalizer": {"type": "Precompiled"}})", StatusCode::kUnsupported, "\"Precompiled\""},
      {R"({"decoder": {"type": "CTC"}})", StatusCode::kUnsupported, "\"CTC\""},
      {R"({"post_processor": {"type": "TemplateProcessing"}})", StatusCode::kCorrupt, "\"single\""},
      {R"({"post_processor": {"type": "RobertaProcessing", "cls": ["a", 99], "sep": ["b", 1]}})", StatusCode::kCorrupt,
       "token 99"},
      {R"({"added_tokens": [{"id": 1, "content": "zz"}]})", StatusCode::kCorrupt, "same id 1"},
      {R"({"added_tokens": [{"content": "zz"}]})", StatusCode::kCorrupt, "id of token \"zz\""},
      {R"({"added_tokens": 4})", StatusCode::kCorrupt, "\"added_tokens\""},
  };
  for (const Case& c : cases) {
    const auto loaded = tokenizer_from_json(small_tokenizer(json::parse(c.changes)), json());
    ASSERT_FALSE(loaded.ok()) << c.changes;
    EXPECT_EQ(loaded.status().code(), c.code) << c.changes << ": " << loaded.status().message();
    EXPECT_NE(loaded.status().message().find(c.fragment), std::string::npos) << loaded.status().message();
    EXPECT_EQ(loaded.status().message().find('\n'), std::string::npos);
    EXPECT_EQ(loaded.status().message().rfind("tokenizer.json: ", 0), 0u) << loaded.status().message();
  }
}

}  // namespace
}  // namespace mlxr
