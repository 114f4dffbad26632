#include "core/runtime/sampler/logprobs.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace mlxr {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> noise(std::size_t count) {
  std::vector<float> logits(count);
  for (std::size_t i = 0; i < count; ++i)
    logits[i] = std::round(200 * static_cast<float>(random_unit(1, i, RandomUse::kToken))) / 10;  // many equals
  return logits;
}

// exp() is exact to 2e-7, which is the error of the sum's logarithm; a logit of size 32 has a step of 2^-19.
constexpr double kTolerance = 3e-6;

TEST(LogprobsTest, AreTheLogSoftmaxOfTheRow) {
  for (const std::size_t size : {1UL, 5UL, 1000UL, 128256UL}) {
    const std::vector<float> logits = noise(size);
    double sum = 0;
    for (const float logit : logits)
      sum += std::exp(static_cast<double>(logit));
    std::vector<std::size_t> order(size);
    for (std::size_t i = 0; i < size; ++i)
      order[i] = i;
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return logits[a] > logits[b]; });
    LogprobReader reader;
    for (const std::size_t rank : {0UL, size / 2, size - 1}) {
      const auto token = static_cast<TokenId>(order[rank]);
      const Logprobs made = reader.read(logits, token, 20);
      EXPECT_EQ(made.chosen.token, token);
      EXPECT_EQ(made.rank, static_cast<std::int64_t>(rank));
      EXPECT_NEAR(made.chosen.logprob, static_cast<double>(logits[order[rank]]) - std::log(sum), kTolerance);
      ASSERT_EQ(made.top.size(), std::min<std::size_t>(size, 20));
      for (std::size_t i = 0; i < made.top.size(); ++i) {
        EXPECT_EQ(made.top[i].token, static_cast<TokenId>(order[i]));
        EXPECT_NEAR(made.top[i].logprob, static_cast<double>(logits[order[i]]) - std::log(sum), kTolerance);
      }
    }
  }
}

TEST(LogprobsTest, WhatCannotComeHasMinusInfinity) {
  const double never = -std::numeric_limits<double>::infinity();
  const std::vector<float> logits = {1, -kInfinity, 2, std::numeric_limits<float>::quiet_NaN()};
  LogprobReader reader;
  EXPECT_EQ(reader.read(logits, 1, 2).chosen.logprob, never);
  EXPECT_EQ(reader.read(logits, 3, 2).chosen.logprob, never);
  EXPECT_EQ(reader.read(logits, -1, 2).chosen.logprob, never);
  EXPECT_EQ(reader.read(logits, 4, 2).rank, 4);
  EXPECT_TRUE(reader.read(logits, 0, 0).top.empty());
  EXPECT_EQ(reader.read(std::vector<float>{-kInfinity, -kInfinity}, 0, 2).chosen.logprob, never);
}

TEST(LogprobsTest, ProcessedOnesAreThoseDrawnFrom) {
  SamplingParams params;
  params.temperature = 0.5F;
  params.samplers = std::vector<std::string>{"top_k", "temperature"};
  params.top_k = 2;
  params.seed = 1;
  Sampler sampler(params);
  const std::vector<float> logits = {0, 3, 2, 1};
  const std::vector<std::uint64_t> allowed = {0b1101};  // 2 and 3 stay after the cut
  const double likely = 1 / (1 + std::exp(-2.0));
  const Logprobs made = processed_logprobs(sampler, logits, allowed, 3, 5);
  ASSERT_EQ(made.top.size(), 2U);
  EXPECT_EQ(made.top[0].token, 2);
  EXPECT_NEAR(made.top[0].logprob, std::log(likely), 1e-6);
  EXPECT_NEAR(made.chosen.logprob, std::log(1 - likely), 1e-6);
  EXPECT_EQ(made.rank, 1);
  EXPECT_EQ(processed_logprobs(sampler, logits, allowed, 1, 5).chosen.logprob,
            -std::numeric_limits<double>::infinity());
}

}  // namespace
}  // namespace mlxr
