#include "core/runtime/tokenizer/tiktoken.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace mlxr {
namespace {

using Ids = std::vector<TokenId>;

// a b c ab bc abc, space, 0xFF
constexpr const char* kSmall = "YQ== 0\nYg== 1\nYw== 2\nYWI= 3\r\nYmM= 4\n\nYWJj 5\nIA== 7\n/w== 6";

TEST(Tiktoken, RanksByNumber) {
  ASSERT_TRUE(looks_like_tiktoken(kSmall));
  const auto loaded = tokenizer_from_tiktoken(kSmall, "qwen2", "x.tiktoken");
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_EQ((*loaded)->encode("ab bc abca"), (Ids{3, 7, 4, 7, 5, 0}));
  EXPECT_EQ((*loaded)->decode(Ids{5, 6}), "abc\xFF");
  EXPECT_EQ((*loaded)->encode("\xFF"), (Ids{6}));
  EXPECT_EQ((*loaded)->piece(7), "\xC4\xA0");
}

TEST(Tiktoken, RefusesWithOneLine) {
  struct Case {
    const char* text;
    const char* pre;
    StatusCode code;
    const char* fragment;
  };
  const std::vector<Case> cases = {
      {kSmall, "", StatusCode::kInvalidArgument, "--pre"},
      {kSmall, "nope", StatusCode::kInvalidArgument, "\"nope\""},
      {"YQ== 0\nYg== 0\n", "qwen2", StatusCode::kCorrupt, "line 2: rank 0"},
      {"YQ== 0\nYg==1\n", "qwen2", StatusCode::kCorrupt, "line 2"},
      {"YQ== 0\nY*== 1\n", "qwen2", StatusCode::kCorrupt, "line 2"},
      {"YQ== 0\nYg= 1\n", "qwen2", StatusCode::kCorrupt, "line 2"},
      {"YQ== 4000000000\n", "qwen2", StatusCode::kCorrupt, "out of proportion"},
      {"\n\n", "qwen2", StatusCode::kCorrupt, "no tokens"},
  };
  for (const Case& c : cases) {
    const auto loaded = tokenizer_from_tiktoken(c.text, c.pre, "x.tiktoken");
    ASSERT_FALSE(loaded.ok()) << c.fragment;
    EXPECT_EQ(loaded.status().code(), c.code) << loaded.status().message();
    EXPECT_NE(loaded.status().message().find(c.fragment), std::string::npos) << loaded.status().message();
  }
  EXPECT_FALSE(looks_like_tiktoken("{\"version\": 1}"));
  EXPECT_FALSE(looks_like_tiktoken(""));
}

}  // namespace
}  // namespace mlxr
