// Reasoning that is cut off after so many tokens.

#include "core/runtime/engine/reasoning_meter.h"

#include <gtest/gtest.h>

#include "core/runtime/tokenizer/load_tokenizer.h"

namespace mlxr {
namespace {

TEST(ReasoningMeter, ForcesTheEndWhenTheTokensAreUsedUp) {
  const auto tokenizer = load_tokenizer(std::string(MLXR_SOURCE_DIR) + "/models/sprout/sprout-28m-q5_k_m.gguf");
  ASSERT_TRUE(tokenizer.ok());
  const ReasoningLimit limit{.max_tokens = 3,
                             .open = false,
                             .begin = "<think>",
                             .end = "</think>",
                             .closing = (*tokenizer)->encode("</think>\n")};
  const auto vocab = static_cast<std::int64_t>((*tokenizer)->vocab_size());
  ReasoningMeter meter(limit, tokenizer->get());
  const auto push = [&](const char* text) {
    for (const TokenId token : (*tokenizer)->encode(text))
      meter.push(token);
  };
  push("not yet");
  EXPECT_TRUE(meter.forced(vocab).empty());
  push("<think>");
  EXPECT_FALSE(meter.is_forcing());
  const std::vector<TokenId> thought = (*tokenizer)->encode(" a b c d");
  ASSERT_GE(thought.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_FALSE(meter.is_forcing());
    meter.push(thought[i]);
  }
  for (const TokenId token : limit.closing) {
    const TokenMask mask = meter.forced(vocab);
    ASSERT_FALSE(mask.empty());
    EXPECT_EQ(mask[static_cast<std::size_t>(token) / 64], std::uint64_t{1} << (token % 64));
    meter.push(token);
  }
  EXPECT_FALSE(meter.is_forcing());
  push(" the answer goes on and on");
  EXPECT_FALSE(meter.is_forcing());
  EXPECT_TRUE(meter.forced(vocab).empty());
}

TEST(ReasoningMeter, EndsByItself) {
  const auto tokenizer = load_tokenizer(std::string(MLXR_SOURCE_DIR) + "/models/sprout/sprout-28m-q5_k_m.gguf");
  ASSERT_TRUE(tokenizer.ok());
  const ReasoningLimit limit{
      .max_tokens = 20, .open = true, .begin = "", .end = "</think>", .closing = (*tokenizer)->encode("</think>")};
  ReasoningMeter meter(limit, tokenizer->get());
  for (const TokenId token : (*tokenizer)->encode("so</think>"))
    meter.push(token);
  for (int i = 0; i < 40; ++i)
    meter.push(100);
  EXPECT_FALSE(meter.is_forcing());
}

}  // namespace
}  // namespace mlxr
