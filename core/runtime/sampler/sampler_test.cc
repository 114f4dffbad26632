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

// What the golden does not say is off.
SamplingParams params_from(const Json& json) {
  SamplingParams params = plain_params();
  const auto take = [&json](const char* name, auto& field) { field = json.value(name, field); };
  take("temperature", params.temperature);
  take("dynatemp_range", params.dynatemp_range);
  take("dynatemp_exponent", params.dynatemp_exponent);
  take("top_k", params.top_k);
  take("top_p", params.top_p);
  take("min_p", params.min_p);
  take("typical_p", params.typical_p);
  take("top_n_sigma", params.top_n_sigma);
  take("xtc_probability", params.xtc_probability);
  take("xtc_threshold", params.xtc_threshold);
  take("repetition_penalty", params.repetition_penalty);
  take("frequency_penalty", params.frequency_penalty);
  take("presence_penalty", params.presence_penalty);
  take("penalty_last_n", params.penalty_last_n);
  take("dry_multiplier", params.dry_multiplier);
  take("dry_base", params.dry_base);
  take("dry_allowed_length", params.dry_allowed_length);
  take("dry_penalty_last_n", params.dry_penalty_last_n);
  take("mirostat", params.mirostat);
  take("mirostat_tau", params.mirostat_tau);
  take("mirostat_eta", params.mirostat_eta);
  take("bad_token_sequences", params.bad_token_sequences);
  if (json.contains("samplers")) params.samplers = json["samplers"].get<std::vector<std::string>>();
  if (json.contains("logit_bias")) {
    for (const auto& [token, bias] : json["logit_bias"].items())
      params.logit_bias[std::stoi(token)] = bias;
  }
  return params;
}

// Many logits without structure, the same ones each time.
std::vector<float> noise(std::size_t count, float scale) {
  std::vector<float> logits(count);
  for (std::size_t i = 0; i < count; ++i) {
    double sum = 0;
    for (std::uint64_t part = 0; part < 4; ++part)
      sum += random_unit(count, i * 4 + part, RandomUse::kToken);
    logits[i] = scale * static_cast<float>(sum - 2);
  }
  return logits;
}

// Samples and accepts.
TokenId next_token(Sampler& sampler, std::span<const float> logits) {
  const Result<TokenId> token = sampler.sample(logits);
  EXPECT_TRUE(token.ok()) << token.status().message();
  if (!token.ok()) return kNoCandidate;
  sampler.accept(*token);
  return *token;
}

const Json& golden() {
  static const Json kGolden = [] {
    std::ifstream in(test::fixture("sampler/distributions.json"));
    return Json::parse(in);
  }();
  return kGolden;
}

// What scripts/make_sampler_golden.py computes. Logits are float32 here and float64 there: a logit of size 32 is off by
// 2^-20 at most after a few operations, divided by a temperature of 0.05 that is 2e-5 of each probability.
TEST(SamplerTest, DistributionsMatchTheDefinitions) {
  ASSERT_GT(golden().at("cases").size(), 150U);
  for (const Json& entry : golden().at("cases")) {
    SCOPED_TRACE(entry.at("logits").get<std::string>() + " " + entry.at("params").dump());
    const auto logits = golden().at("logits").at(entry.at("logits").get<std::string>()).get<std::vector<float>>();
    const SamplingParams params = params_from(entry.at("params"));
    ASSERT_TRUE(params.validate(logits.size()).ok());
    Sampler sampler(params);
    const auto history = entry.at("history").get<std::vector<TokenId>>();
    if (params.mirostat != 0) {
      sampler.accept_prompt(history);  // generated tokens would have moved its limit
    } else {
      for (const TokenId token : history)
        sampler.accept(token);
    }
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
      ++counts[next_token(sampler, logits)];
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
      tokens.push_back(next_token(sampler, logits));
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
      {{1, kInfinity, 2, kInfinity}, 1},
      {{-1, -3}, 0},
      {{7}, 0},
  };
  for (const auto& entry : kCases) {
    EXPECT_EQ(*Sampler(params).sample(entry.logits), entry.expected);
  }
  std::vector<float> large = noise(100003, 1.0F);
  for (const std::size_t place : {0UL, 15UL, 16UL, 1023UL, 1024UL, 50001UL, 100002UL}) {
    std::vector<float> logits = large;
    logits[place] = 10;
    EXPECT_EQ(*Sampler(params).sample(logits), static_cast<TokenId>(place));
  }
}

TEST(SamplerTest, GreedyHonoursBiasAndPenalties) {
  SamplingParams params = plain_params();
  params.temperature = 0;
  params.logit_bias = {{1, -kInfinity}};
  params.presence_penalty = 2.0F;
  Sampler sampler(params);
  const std::vector<float> logits = {1, 9, 4, 3};
  EXPECT_EQ(next_token(sampler, logits), 2);
  EXPECT_EQ(next_token(sampler, logits), 3);
  EXPECT_EQ(next_token(sampler, logits), 2);
}

TEST(SamplerTest, LogitsThatAreNotNumbersDoNoHarm) {
  const std::vector<std::vector<float>> kVectors = {
      {},
      {kNan, kNan, kNan},
      {-kInfinity, -kInfinity},
      {kInfinity, kInfinity, 0},
      {kNan, 0, -kInfinity, kInfinity},
      {std::numeric_limits<float>::max(), std::numeric_limits<float>::lowest()},
      {0},
  };
  for (const auto& logits : kVectors) {
    for (const float temperature : {0.0F, 1e-6F, 1.0F, 100.0F}) {
      for (const int change : {0, 1, 2, 3}) {
        SamplingParams params = plain_params();
        params.temperature = temperature;
        params.logit_bias = {{0, 3.0F}, {99, 1.0F}};
        params.repetition_penalty = 1.5F;
        params.dry_multiplier = 1e6F;
        params.dry_allowed_length = 0;
        params.xtc_probability = 1;
        params.xtc_threshold = 0;
        if (change == 1) {
          params.top_n_sigma = 1;
          params.top_k = 2;
          params.typical_p = 0.5F;
          params.top_p = 0.5F;
          params.min_p = 0.5F;
        }
        if (change == 2) params.dynatemp_range = temperature;
        if (change == 3) params.mirostat = 1;
        Sampler sampler(params);
        sampler.accept(0);
        sampler.accept(98);
        const Result<TokenId> token = sampler.sample(logits);
        const bool possible = std::any_of(logits.begin(), logits.end(), [](float x) { return x > -kInfinity; });
        ASSERT_EQ(token.ok(), possible);
        if (!possible) continue;
        ASSERT_TRUE(*token >= 0 && static_cast<std::size_t>(*token) < logits.size());
        EXPECT_GT(logits[static_cast<std::size_t>(*token)], -kInfinity) << "drew an impossible token";
      }
    }
  }
}

TEST(SamplerTest, AMaskLeavesItsTokensOnly) {
  for (const std::size_t size : {3UL, 64UL, 130UL, 1000UL}) {
    const std::vector<float> logits = noise(size, 3.0F);
    for (const float temperature : {0.0F, 1.0F}) {
      for (const bool few : {true, false}) {
        std::vector<std::uint64_t> mask((size + 63) / 64, few ? 0 : ~std::uint64_t{0});
        mask[0] = few ? 5 : ~std::uint64_t{2};  // tokens 0 and 2, or all but 1
        std::vector<float> masked = logits;
        for (std::size_t i = 0; i < size; ++i) {
          if ((mask[i / 64] >> (i % 64) & 1) == 0) masked[i] = -kInfinity;
        }
        SamplingParams params = plain_params();
        params.temperature = temperature;
        Sampler with_mask(params);
        Sampler without(params);
        // The same distribution; a mask of few tokens may draw others of it.
        const auto expected = without.distribution(masked);
        const auto actual = with_mask.distribution(logits, mask);
        ASSERT_EQ(actual.size(), expected.size());
        for (std::size_t i = 0; i < actual.size(); ++i) {
          EXPECT_EQ(actual[i].token, expected[i].token);
          EXPECT_NEAR(actual[i].probability, expected[i].probability, 1e-12);
        }
        for (int i = 0; i < 50; ++i) {
          const Result<TokenId> token = with_mask.sample(logits, mask);
          ASSERT_TRUE(token.ok());
          const auto index = static_cast<std::size_t>(*token);
          EXPECT_TRUE((mask[index / 64] >> (index % 64) & 1) != 0) << *token;
          EXPECT_TRUE(few || *token == *without.sample(masked));
          with_mask.accept(*token);
          without.accept(*token);
        }
        // A mask of a smaller vocabulary: tokens past its end cannot come.
        const Result<TokenId> token = with_mask.sample(logits, std::span(mask).first(1));
        ASSERT_TRUE(token.ok());
        EXPECT_LT(*token, 64);
      }
      SamplingParams params = plain_params();
      params.temperature = temperature;
      const std::vector<std::uint64_t> none((size + 63) / 64, 0);
      const Result<TokenId> token = Sampler(params).sample(logits, none);
      ASSERT_FALSE(token.ok());
      EXPECT_EQ(token.status().code(), StatusCode::kInvalidArgument);
      EXPECT_TRUE(Sampler(params).distribution(logits, none).empty());
    }
  }
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
  // The known answers of Random123 for philox4x32 of 10 rounds.
  const struct {
    PhiloxCounter counter;
    PhiloxKey key;
    PhiloxCounter expected;
  } kCases[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
       {0xffffffff, 0xffffffff},
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (const auto& entry : kCases)
    EXPECT_EQ(philox(entry.counter, entry.key), entry.expected);
  for (std::uint64_t i = 0; i < 1000; ++i) {
    const double unit = random_unit(3, i, RandomUse::kToken);
    EXPECT_GE(unit, 0.0);
    EXPECT_LT(unit, 1.0);
    EXPECT_NE(unit, random_unit(3, i, RandomUse::kXtc));
    EXPECT_NE(unit, random_unit(4, i, RandomUse::kToken));
  }
  EXPECT_EQ(choice_seed(9, 0), 9U);
  EXPECT_NE(choice_seed(9, 1), choice_seed(9, 2));
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
      {[](SamplingParams& p) { p.dynatemp_range = -1; }, "dynatemp_range is -1, not between 0 and 1000000"},
      {[](SamplingParams& p) { p.xtc_probability = 2; }, "xtc_probability is 2, not between 0 and 1"},
      {[](SamplingParams& p) { p.top_n_sigma = kNan; }, "top_n_sigma is nan, not between -1000000 and 1000000"},
      {[](SamplingParams& p) { p.dry_allowed_length = -1; }, "dry_allowed_length is -1, less than 0"},
      {[](SamplingParams& p) { p.mirostat = 3; }, "mirostat is 3, not between 0 and 2"},
      {[](SamplingParams& p) { p.min_tokens = -1; }, "min_tokens is -1, less than 0"},
      {[](SamplingParams& p) {
         p.bad_words = {"a", ""};
       },
       "bad_words[1] has 0 bytes, not between 1 and 256"},
      {[](SamplingParams& p) { p.bad_words.assign(65, "a"); }, "bad_words has 65 texts, more than 64"},
      {[](SamplingParams& p) { p.dry_sequence_breakers = {std::string(41, 'a')}; },
       "dry_sequence_breakers[0] has 41 bytes, not between 1 and 40"},
      {[](SamplingParams& p) {
         p.bad_token_sequences = {{1}, {}};
       },
       "bad_token_sequences[1] has 0 tokens, not between 1 and 256"},
      {[](SamplingParams& p) {
         p.bad_token_sequences = {{1, 100}};
       },
       "bad_token_sequences[0] has token 100, which the vocabulary does not have"},
      {[](SamplingParams& p) {
         p.samplers = std::vector<std::string>{"top_k", "tfs"};
       },
       "samplers[1] is \"tfs\", not one of penalties, dry, top_n_sigma, top_k, typ_p, top_p, min_p, xtc, temperature"},
      {[](SamplingParams& p) {
         p.samplers = std::vector<std::string>{"top-p", "nucleus"};
       },
       "samplers[1] names top_p a second time"},
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
