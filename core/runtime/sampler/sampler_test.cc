#include "core/runtime/sampler/sampler.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/runtime/sampler/exponential.h"
#include "tests/support/paths.h"

namespace mlxr {
namespace {

using Json = nlohmann::json;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Nothing changed, nothing cut.
SamplingParams plain_params() {
  SamplingParams params;
  params.temperature = 1;
  params.top_k = 0;
  params.top_p = 1;
  params.min_p = 0;
  params.seed = 1;
  return params;
}

SamplingParams params_from(const Json& json) {
  SamplingParams params;
  params.temperature = json.at("temperature");
  params.top_k = json.at("top_k");
  params.top_p = json.at("top_p");
  params.min_p = json.at("min_p");
  params.typical_p = json.at("typical_p");
  params.repetition_penalty = json.at("repetition_penalty");
  params.frequency_penalty = json.at("frequency_penalty");
  params.presence_penalty = json.at("presence_penalty");
  params.penalty_last_n = json.at("penalty_last_n");
  for (const auto& [token, bias] : json.at("logit_bias").items())
    params.logit_bias[std::stoi(token)] = bias;
  params.seed = 7;
  return params;
}

// Many logits without structure, the same ones each time.
std::vector<float> noise(std::size_t count, float scale) {
  Random random(count);
  std::vector<float> logits(count);
  for (float& logit : logits) {
    double sum = 0;
    for (int i = 0; i < 4; ++i)
      sum += random.next_unit();
    logit = scale * static_cast<float>(sum - 2);
  }
  return logits;
}

const Json& golden() {
  static const Json kGolden = [] {
    std::ifstream in(test::fixture("sampler/distributions.json"));
    return Json::parse(in);
  }();
  return kGolden;
}

// What transformers' logits processors leave. Logits are float32 here and float64 there: a logit of size 32 is off by
// 2^-20 at most after a few operations, divided by a temperature of 0.05 that is 2e-5 of each probability.
TEST(SamplerTest, DistributionsMatchTransformers) {
  ASSERT_GT(golden().at("cases").size(), 80U);
  for (const Json& entry : golden().at("cases")) {
    SCOPED_TRACE(entry.at("logits").get<std::string>() + " " + entry.at("params").dump());
    const auto logits = golden().at("logits").at(entry.at("logits").get<std::string>()).get<std::vector<float>>();
    const SamplingParams params = params_from(entry.at("params"));
    ASSERT_TRUE(params.validate(logits.size()).ok());
    Sampler sampler(params);
    for (const TokenId token : entry.at("history"))
      sampler.accept(token);
    std::map<TokenId, double> actual;
    double sum = 0;
    double previous = 1;
    for (const auto& [token, probability] : sampler.distribution(logits)) {
      EXPECT_LE(probability, previous);
      previous = probability;
      sum += probability;
      if (probability > 1e-9) actual[token] = probability;
    }
    EXPECT_NEAR(sum, 1.0, 1e-12);
    const Json& expected = entry.at("probabilities");
    for (const auto& [token, probability] : expected.items()) {
      const double wanted = probability;
      // Those next to the limit of what the golden lists may be missing on one side.
      if (wanted < 2e-9) continue;
      EXPECT_NEAR(actual[std::stoi(token)], wanted, 2e-5 * wanted) << "token " << token;
    }
    for (const auto& [token, probability] : actual) {
      EXPECT_TRUE(probability < 2e-9 || expected.contains(std::to_string(token))) << "token " << token;
    }
  }
}

// Frequencies of many draws against the distribution: chi-square with a fixed seed. With k degrees of freedom the
// statistic exceeds k + 6 sqrt(2 k) less than once in a million for k >= 10.
TEST(SamplerTest, DrawsFollowTheDistribution) {
  const struct {
    float temperature;
    int top_k;
    float top_p;
  } kCases[] = {{1.0F, 0, 1.0F}, {0.7F, 0, 1.0F}, {1.5F, 20, 1.0F}, {1.0F, 0, 0.9F}, {2.0F, 40, 0.95F}};
  const std::vector<float> logits = noise(60, 2.0F);
  for (const auto& entry : kCases) {
    SamplingParams params = plain_params();
    params.temperature = entry.temperature;
    params.top_k = entry.top_k;
    params.top_p = entry.top_p;
    Sampler sampler(params);
    constexpr int kDraws = 20000;
    std::map<TokenId, int> counts;
    for (int i = 0; i < kDraws; ++i)
      ++counts[sampler.sample(logits)];
    double statistic = 0;
    int cells = 0;
    int seen = 0;
    for (const auto& [token, probability] : sampler.distribution(logits)) {
      const double expected = probability * kDraws;
      const double difference = counts[token] - expected;
      statistic += difference * difference / expected;
      seen += counts[token];
      ++cells;
    }
    EXPECT_EQ(seen, kDraws) << "a token outside of the distribution was drawn";
    const double freedom = cells - 1;
    EXPECT_LT(statistic, freedom + 6 * std::sqrt(2 * freedom));
  }
}

TEST(SamplerTest, TheSeedDecides) {
  const std::vector<float> logits = noise(1000, 2.0F);
  const auto draw = [&](std::uint64_t seed) {
    SamplingParams params;
    params.seed = seed;
    Sampler sampler(params);
    std::vector<TokenId> tokens;
    for (int i = 0; i < 50; ++i)
      tokens.push_back(sampler.sample(logits));
    return tokens;
  };
  EXPECT_EQ(draw(42), draw(42));
  EXPECT_NE(draw(42), draw(43));
}

TEST(SamplerTest, WithoutASeedEachSamplerHasItsOwn) {
  const SamplingParams params;
  const Sampler a(params);
  const Sampler b(params);
  EXPECT_NE(a.seed(), b.seed());
  SamplingParams again;
  again.seed = a.seed();
  EXPECT_EQ(Sampler(again).seed(), a.seed());
}

TEST(SamplerTest, GreedyTakesTheHighestAndTheLowestIdOfEquals) {
  SamplingParams params = plain_params();
  params.temperature = 0;
  const struct {
    std::vector<float> logits;
    TokenId expected;
  } kCases[] = {
      {{1, 3, 2}, 1},
      {{2, 3, 3, 1}, 1},
      {{5, 5, 5}, 0},
      {{kNan, 1, 2, kNan}, 2},
      {{-kInfinity, -kInfinity, -5}, 2},
      {{kNan, -kInfinity}, 1},
      {{-kInfinity, -kInfinity}, 0},
      {{1, kInfinity, 2, kInfinity}, 1},
      {{-1, -3}, 0},
      {{7}, 0},
  };
  for (const auto& entry : kCases) {
    EXPECT_EQ(Sampler(params).sample(entry.logits), entry.expected);
  }
  std::vector<float> large = noise(100003, 1.0F);
  for (const std::size_t place : {0UL, 15UL, 16UL, 1023UL, 1024UL, 50001UL, 100002UL}) {
    std::vector<float> logits = large;
    logits[place] = 10;
    EXPECT_EQ(Sampler(params).sample(logits), static_cast<TokenId>(place));
  }
}

TEST(SamplerTest, GreedyHonoursBiasAndPenalties) {
  SamplingParams params = plain_params();
  params.temperature = 0;
  params.logit_bias = {{1, -kInfinity}};
  params.presence_penalty = 2.0F;
  Sampler sampler(params);
  const std::vector<float> logits = {1, 9, 4, 3};
  EXPECT_EQ(sampler.sample(logits), 2);
  sampler.accept(2);
  EXPECT_EQ(sampler.sample(logits), 3);
  sampler.accept(3);
  EXPECT_EQ(sampler.sample(logits), 2);
}

TEST(SamplerTest, LogitsThatAreNotNumbersDoNoHarm) {
  const std::vector<std::vector<float>> kVectors = {
      {kNan, kNan, kNan},
      {-kInfinity, -kInfinity},
      {kInfinity, kInfinity, 0},
      {kNan, 0, -kInfinity, kInfinity},
      {std::numeric_limits<float>::max(), std::numeric_limits<float>::lowest()},
      {0},
  };
  for (const auto& logits : kVectors) {
    for (const float temperature : {0.0F, 1e-6F, 1.0F, 100.0F}) {
      for (const bool cut : {false, true}) {
        SamplingParams params = plain_params();
        params.temperature = temperature;
        params.logit_bias = {{0, 3.0F}, {99, 1.0F}};
        params.repetition_penalty = 1.5F;
        if (cut) {
          params.top_k = 2;
          params.typical_p = 0.5F;
          params.top_p = 0.5F;
          params.min_p = 0.5F;
        }
        Sampler sampler(params);
        sampler.accept(0);
        sampler.accept(98);
        const TokenId token = sampler.sample(logits);
        EXPECT_GE(token, 0);
        EXPECT_LT(static_cast<std::size_t>(token), logits.size());
        const bool all_impossible = std::none_of(logits.begin(), logits.end(), [](float x) { return x > -kInfinity; });
        const float logit = logits[static_cast<std::size_t>(token)];
        EXPECT_TRUE(all_impossible || logit > -kInfinity) << "drew an impossible token";
      }
    }
  }
  EXPECT_EQ(Sampler(plain_params()).sample({}), 0);
}

// The best few of a large vocabulary, found block by block, are those that sorting everything finds.
TEST(SamplerTest, SelectionEqualsSorting) {
  for (const std::size_t size : {1UL, 63UL, 64UL, 65UL, 1000UL, 20011UL}) {
    std::vector<float> logits = noise(size, 3.0F);
    for (float& logit : logits)
      logit = std::round(logit * 8) / 8;  // many equals
    std::vector<Candidate> sorted;
    for (std::size_t i = 0; i < size; ++i)
      sorted.push_back({static_cast<TokenId>(i), logits[i]});
    std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.logit > b.logit; });
    for (const std::size_t count : {1UL, 2UL, 40UL, 300UL, 1000UL, 30000UL}) {
      Candidates candidates;
      candidates.assign(logits);
      const auto best = candidates.best(count);
      ASSERT_EQ(best.size(), std::min(count, size));
      for (std::size_t i = 0; i < best.size(); ++i)
        ASSERT_EQ(best[i].token, sorted[i].token) << size << " " << count;
    }
  }
}

TEST(SamplerTest, RandomMatchesTheReferenceImplementation) {
  // From xoshiro256plusplus.c by Blackman and Vigna, state 1, 2, 3, 4.
  Random random = Random::from_state({1, 2, 3, 4});
  for (const std::uint64_t expected :
       {41943041UL, 58720359UL, 3588806011781223UL, 3591011842654386UL, 9228616714210784205UL, 9973669472204895162UL,
        14011001112246962877UL, 12406186145184390807UL, 15849039046786891736UL, 10450023813501588000UL}) {
    EXPECT_EQ(random.next(), expected);
  }
  for (int i = 0; i < 1000; ++i) {
    const double unit = random.next_unit();
    EXPECT_GE(unit, 0.0);
    EXPECT_LT(unit, 1.0);
  }
}

TEST(SamplerTest, ExponentialIsAccurate) {
  for (float x = 0; x > -87; x -= 0.0137F) {
    const double expected = std::exp(static_cast<double>(x));
    EXPECT_NEAR(static_cast<double>(exp_negative(x)), expected, 2e-7 * expected) << x;
  }
  EXPECT_EQ(exp_negative(0), 1.0F);
  EXPECT_EQ(exp_negative(-100), 0.0F);
  EXPECT_EQ(exp_negative(-kInfinity), 0.0F);
}

TEST(SamplingParamsTest, ValidateNamesTheField) {
  const struct {
    void (*change)(SamplingParams&);
    const char* message;
  } kCases[] = {
      {[](SamplingParams& p) { p.temperature = -1; }, "temperature is -1, not between 0 and 1000000"},
      {[](SamplingParams& p) { p.temperature = kNan; }, "temperature is nan, not between 0 and 1000000"},
      {[](SamplingParams& p) { p.top_p = 1.5F; }, "top_p is 1.5, not between 0 and 1"},
      {[](SamplingParams& p) { p.min_p = -0.5F; }, "min_p is -0.5, not between 0 and 1"},
      {[](SamplingParams& p) { p.typical_p = 2; }, "typical_p is 2, not between 0 and 1"},
      {[](SamplingParams& p) { p.repetition_penalty = 0; }, "repetition_penalty is 0, not between 0.001 and 1000000"},
      {[](SamplingParams& p) { p.top_k = -2; }, "top_k is -2, less than 0"},
      {[](SamplingParams& p) { p.penalty_last_n = -2; }, "penalty_last_n is -2, less than -1"},
      {[](SamplingParams& p) { p.logit_bias[-1] = 0; }, "logit_bias has token -1, which the vocabulary does not have"},
      {[](SamplingParams& p) { p.logit_bias[100] = 0; },
       "logit_bias has token 100, which the vocabulary does not have"},
      {[](SamplingParams& p) { p.logit_bias[1] = kNan; }, "logit_bias of token 1 is nan"},
  };
  EXPECT_TRUE(SamplingParams().validate().ok());
  for (const auto& entry : kCases) {
    SamplingParams params;
    entry.change(params);
    EXPECT_EQ(params.validate(100).message(), entry.message);
  }
}

}  // namespace
}  // namespace mlxr
