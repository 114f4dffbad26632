#include "core/runtime/tokenizer/tokenizer_gguf.h"

#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/io/json_file.h"
#include "core/runtime/tokenizer/load_tokenizer.h"
#include "core/runtime/tokenizer/tokenizer_json.h"
#include "core/runtime/tokenizer/tokenizer_to_json.h"
#include "tests/support/paths.h"

namespace mlxr {
namespace {

using nlohmann::json;
using Ids = std::vector<TokenId>;

Metadata small_metadata() {
  Metadata out("m.gguf");
  out.set_string("tokenizer.ggml.model", "gpt2");
  out.set_string("tokenizer.ggml.pre", "gpt-2");
  out.set_strings("tokenizer.ggml.tokens", {"a", "b", "ab", "\u0120", "<|end|>", "xx"});
  out.set_ints("tokenizer.ggml.token_type", {1, 1, 1, 1, 3, 4});
  out.set_strings("tokenizer.ggml.merges", {"a b"});
  out.set_uint("tokenizer.ggml.bos_token_id", 4);
  out.set_uint("tokenizer.ggml.eos_token_id", 4);
  return out;
}

TEST(TokenizerGguf, ReadsAByteLevelVocabulary) {
  Metadata metadata = small_metadata();
  const auto loaded = tokenizer_from_gguf(metadata);
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_EQ((*loaded)->encode("ab b<|end|>xxa"), (Ids{2, 3, 1, 4, 5, 0}));
  EXPECT_EQ((*loaded)->encode("a<|end|>xx", {.parse_special = false}), (Ids{0, 5}));  // user-defined tokens are text
  EXPECT_EQ((*loaded)->encode("a", {.add_special = true}), (Ids{0}));
  EXPECT_EQ((*loaded)->special().end_of_generation, (Ids{4}));
  EXPECT_TRUE((*loaded)->is_end_of_generation(4));
  metadata.set_bool("tokenizer.ggml.add_bos_token", true);
  metadata.set_bool("tokenizer.ggml.add_eos_token", true);
  const auto around = tokenizer_from_gguf(metadata);
  EXPECT_EQ((*around)->encode("a", {.add_special = true}), (Ids{4, 0, 4}));
}

TEST(TokenizerGguf, ThePreTokenizerCanBeOverridden) {
  const auto loaded = tokenizer_from_gguf(small_metadata(), {.pre = "no-such"});
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.status().code(), StatusCode::kUnsupported);
  Metadata unnamed = small_metadata();
  unnamed.erase("tokenizer.ggml.pre");
  EXPECT_TRUE(tokenizer_from_gguf(unnamed).ok());  // "default"
}

TEST(TokenizerGguf, RefusesWithOneLine) {
  struct Case {
    std::function<void(Metadata&)> change;
    StatusCode code;
    const char* fragment;
  };
  const std::vector<Case> cases = {
      {[](Metadata& m) { m.erase("tokenizer.ggml.model"); }, StatusCode::kNotFound, "no tokenizer"},
      {[](Metadata& m) { m.set_string("tokenizer.ggml.model", "bert"); }, StatusCode::kUnsupported, "\"bert\""},
      {[](Metadata& m) { m.set_string("tokenizer.ggml.model", "t5"); }, StatusCode::kUnsupported, "\"t5\""},
      {[](Metadata& m) { m.set_string("tokenizer.ggml.pre", "x\ny"); }, StatusCode::kUnsupported, "pre-tokenizer"},
      {[](Metadata& m) { m.erase("tokenizer.ggml.tokens"); }, StatusCode::kNotFound, "tokenizer.ggml.tokens"},
      {[](Metadata& m) { m.set_strings("tokenizer.ggml.tokens", {}); }, StatusCode::kCorrupt, "empty"},
      {[](Metadata& m) { m.set_ints("tokenizer.ggml.token_type", {1}); }, StatusCode::kCorrupt, "1 types for 6 tokens"},
      {[](Metadata& m) {
         m.set_ints("tokenizer.ggml.token_type", {1, 1, 1, 9, 1, 1});
       },
       StatusCode::kCorrupt, "type 9"},
      {[](Metadata& m) { m.set_floats("tokenizer.ggml.scores", {1.0F}); }, StatusCode::kCorrupt, "1 scores"},
      {[](Metadata& m) { m.erase("tokenizer.ggml.merges"); }, StatusCode::kNotFound, "tokenizer.ggml.merges"},
      {[](Metadata& m) { m.set_strings("tokenizer.ggml.merges", {"ab"}); }, StatusCode::kCorrupt, "merge 0"},
      {[](Metadata& m) { m.set_string("tokenizer.ggml.bos_token_id", "x"); }, StatusCode::kInvalidArgument,
       "bos_token_id"},
      {[](Metadata& m) { m.set_uint("tokenizer.ggml.add_bos_token", 1); }, StatusCode::kInvalidArgument,
       "add_bos_token"},
  };
  for (const Case& c : cases) {
    Metadata metadata = small_metadata();
    c.change(metadata);
    const auto loaded = tokenizer_from_gguf(metadata);
    ASSERT_FALSE(loaded.ok()) << c.fragment;
    EXPECT_EQ(loaded.status().code(), c.code) << loaded.status().message();
    EXPECT_NE(loaded.status().message().find(c.fragment), std::string::npos) << loaded.status().message();
    EXPECT_EQ(loaded.status().message().rfind("m.gguf: ", 0), 0u) << loaded.status().message();
    EXPECT_EQ(loaded.status().message().find('\n'), std::string::npos);
  }
}

TEST(TokenizerGguf, SproutSurvivesTheRoundTrip) {
  const auto loaded = load_tokenizer(test::fixture("tokenizer/sprout"));
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  Metadata metadata;
  ASSERT_TRUE(tokenizer_to_gguf(**loaded, 8200, metadata).ok());
  EXPECT_EQ(metadata.get_string("tokenizer.ggml.model"), "gpt2");
  EXPECT_EQ(metadata.get_string("tokenizer.ggml.pre"), "dbrx");  // Llama 3's split without its whole-word rule
  EXPECT_EQ(metadata.get_strings("tokenizer.ggml.tokens")->size(), 8200u);
  EXPECT_EQ(metadata.get_bool("tokenizer.ggml.add_bos_token"), false);
  const auto from_gguf = tokenizer_from_gguf(metadata);
  ASSERT_TRUE(from_gguf.ok()) << from_gguf.status().message();
  EXPECT_EQ((*from_gguf)->special().end_of_generation, (*loaded)->special().end_of_generation);
  EXPECT_EQ((*from_gguf)->special().pad, 5);
  const auto written = tokenizer_to_json(**from_gguf);
  ASSERT_TRUE(written.ok()) << written.status().message();
  const auto from_json = tokenizer_from_json(*written, tokenizer_config_json(**from_gguf));
  ASSERT_TRUE(from_json.ok()) << from_json.status().message();
  const auto golden = read_json_file(test::fixture("tokenizer/sprout/golden.json"));
  for (const json& c : golden->at("cases")) {
    const std::string text = c.at("text").get<std::string>();
    EXPECT_EQ((*from_gguf)->encode(text), c.at("ids").get<Ids>()) << text;
    EXPECT_EQ((*from_json)->encode(text), c.at("ids").get<Ids>()) << text;
  }
  EXPECT_EQ(tokenizer_to_gguf(**loaded, 100, metadata).code(), StatusCode::kUnsupported);
}

}  // namespace
}  // namespace mlxr
