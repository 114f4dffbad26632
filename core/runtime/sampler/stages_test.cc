// Stages that look at text or remember: against small cases worked out by hand, and taken back.

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "core/runtime/sampler/sampler.h"
#include "core/runtime/tokenizer/load_tokenizer.h"
#include "tests/support/paths.h"

namespace mlxr {
namespace {

const Tokenizer& tokenizer() {
  static const std::unique_ptr<Tokenizer> kTokenizer = [] {
    auto loaded = load_tokenizer(test::fixture("tokenizer/sprout"));
    EXPECT_TRUE(loaded.ok()) << loaded.status().message();
    return std::move(loaded).value();
  }();
  return *kTokenizer;
}

SamplingParams greedy_params() {
  SamplingParams params;
  params.temperature = 0;
  return params;
}

std::vector<float> flat_logits() {
  return std::vector<float>(tokenizer().vocab_size(), 0.0F);
}

TokenId token_of(const std::string& text) {
  const std::vector<TokenId> tokens = tokenizer().encode(text);
  EXPECT_EQ(tokens.size(), 1U) << text;
  return tokens[0];
}

// Whether `token` can come next; it is the only one that has a chance but for what the sampler forbids.
bool can_come(Sampler& sampler, TokenId token) {
  std::vector<float> logits(tokenizer().vocab_size(), -std::numeric_limits<float>::infinity());
  logits[static_cast<std::size_t>(token)] = 0;
  return sampler.sample(logits).ok();
}

TEST(BadWordsTest, NoTokenCompletesTheText) {
  SamplingVocabulary vocabulary(tokenizer());
  for (const std::string word : {"cat", "the cat", "\n\n", "q"}) {
    SamplingParams params = greedy_params();
    params.bad_words = {word};
    for (const std::string before : {"", "a ca", "the", " the c", "th", "x\n", "cacat"}) {
      Sampler sampler(params, &vocabulary);
      sampler.accept_prompt(tokenizer().encode("the c"));  // what the prompt says does not count
      const std::vector<TokenId> tokens = tokenizer().encode(before);
      for (const TokenId token : tokens)
        sampler.accept(token);
      const std::string text = tokenizer().decode(tokens);
      if (text.find(word) != std::string::npos) continue;
      for (std::size_t i = 0; i < tokenizer().vocab_size(); i += 1) {
        const auto token = static_cast<TokenId>(i);
        if (i > 1200 && i % 7 != 0) continue;  // enough
        const std::string bytes = tokenizer().is_special(token) ? "" : tokenizer().token_bytes(token);
        const bool completes = (text + bytes).find(word) != std::string::npos;
        ASSERT_EQ(can_come(sampler, token), !completes) << "\"" << text << "\" + \"" << bytes << "\", not " << word;
      }
    }
  }
}

TEST(EndOfTextTest, ComesOnlyAfterTheLeastNumberOfTokens) {
  SamplingVocabulary vocabulary(tokenizer());
  ASSERT_FALSE(vocabulary.end_tokens().empty());
  for (const bool never : {false, true}) {
    SamplingParams params = greedy_params();
    params.min_tokens = 3;
    params.ignore_eos = never;
    Sampler sampler(params, &vocabulary);
    sampler.accept_prompt(tokenizer().encode("Some words that do not count"));
    for (int i = 0; i < 5; ++i) {
      for (const TokenId token : vocabulary.end_tokens())
        EXPECT_EQ(can_come(sampler, token), !never && i >= 3) << i;
      sampler.accept(token_of("a"));
    }
  }
}

TEST(EndOfTextTest, NeedsAVocabulary) {
  SamplingParams params;
  params.ignore_eos = true;
  const Result<Sampler> made = Sampler::make(params, nullptr);
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.status().code(), StatusCode::kUnsupported);
}

// What DRY takes off each token's logit.
std::map<TokenId, float> dry_penalties(const SamplingParams& params, const std::vector<TokenId>& tokens,
                                       SamplingVocabulary* vocabulary) {
  Sampler sampler(params, vocabulary);
  sampler.accept_prompt(tokens);
  const std::vector<float> logits = flat_logits();
  const auto distribution = sampler.distribution(logits);
  std::map<TokenId, float> penalties;
  for (const auto& [token, probability] : distribution) {
    const double off = -std::log(probability / distribution.front().probability);
    if (off > 1e-4) penalties[token] = static_cast<float>(off);
  }
  return penalties;
}

TEST(DryTest, RepetitionsEndAtBreakers) {
  SamplingVocabulary vocabulary(tokenizer());
  SamplingParams params;
  params.temperature = 1;
  params.samplers = std::vector<std::string>{"dry"};
  params.dry_multiplier = 1;
  params.dry_base = 2;
  params.dry_allowed_length = 1;
  const auto tokens_of = [](const std::string& text) { return tokenizer().encode(text); };
  const struct {
    std::string text;
    std::vector<std::string> breakers;
    int length;  // of the repetition that " dog" would lengthen; 0: none
  } kCases[] = {
      {" a cat and a dog. a cat and a", {}, 4},
      {" a cat and a dog. a cat and a", {" and"}, 1},
      {" a cat and a dog. a cat and a", {"and"}, 1},      // inside of " and"
      {" a cat and a dog. a cat and a", {"nd a"}, 0},     // over two tokens, the last one among them
      {" a cat and a dog. a cat and a", {"cat and"}, 1},  // over two tokens
      {" a cat and a dog. a cat and a", {"zebra", "\n"}, 4},
      {" a cat and a dog. a cat and a", {" cat", " and"}, 1},
  };
  const TokenId dog = token_of(" dog");
  for (const auto& entry : kCases) {
    params.dry_sequence_breakers = entry.breakers;
    const auto penalties = dry_penalties(params, tokens_of(entry.text), &vocabulary);
    const auto found = penalties.find(dog);
    const std::string what = entry.text + " / " + (entry.breakers.empty() ? "" : entry.breakers[0]);
    if (entry.length == 0) {
      EXPECT_EQ(found, penalties.end()) << what;
    } else {
      ASSERT_NE(found, penalties.end()) << what;
      EXPECT_NEAR(found->second, std::pow(2.0F, static_cast<float>(entry.length - 1)), 1e-3F) << what;
    }
  }
}

TEST(DryTest, LongWindowsTakeLinearTime) {
  SamplingParams params = greedy_params();
  params.dry_multiplier = 1;
  Sampler sampler(params);
  sampler.accept_prompt(std::vector<TokenId>(200000, 1));  // the square of it would take minutes
  const std::vector<float> logits = {0, 10, 9};
  EXPECT_EQ(*sampler.sample(logits), 2);
}

TEST(XtcTest, SparesTheEndAndLineBreaks) {
  SamplingVocabulary vocabulary(tokenizer());
  SamplingParams params;
  params.temperature = 1;
  params.samplers = std::vector<std::string>{"xtc"};
  params.xtc_probability = 1;
  ASSERT_FALSE(vocabulary.newline_tokens().empty());
  const TokenId a = token_of(" a");
  const TokenId cat = token_of(" cat");
  for (const TokenId special : {vocabulary.end_tokens()[0], vocabulary.newline_tokens()[0], token_of(" the")}) {
    std::vector<float> logits(tokenizer().vocab_size(), -50.0F);
    logits[static_cast<std::size_t>(special)] = 2;
    logits[static_cast<std::size_t>(cat)] = 1;
    logits[static_cast<std::size_t>(a)] = 0.5F;
    const TokenId expected = special == token_of(" the") ? a : special;
    Sampler sampler(params, &vocabulary);
    EXPECT_EQ(sampler.distribution(logits).front().token, expected);
  }
}

TEST(XtcTest, ActsAsOftenAsAsked) {
  SamplingParams params;
  params.temperature = 1;
  params.samplers = std::vector<std::string>{"xtc"};
  params.xtc_probability = 0.3F;
  params.seed = 5;
  Sampler sampler(params);
  const std::vector<float> logits = {1.0F, 0.9F};
  int acted = 0;
  constexpr int kDraws = 4000;
  for (int i = 0; i < kDraws; ++i) {
    acted += sampler.distribution(logits).front().token;  // the second one is left
    sampler.accept(0);
  }
  // Five standard deviations of a binomial.
  EXPECT_NEAR(acted, 0.3 * kDraws, 5 * std::sqrt(kDraws * 0.3 * 0.7));
}

// Mirostat 2 by its definition, in double: the surprise of each token sets the limit for the next.
TEST(MirostatTest, TheLimitFollowsTheSurprise) {
  SamplingParams params;
  params.temperature = 1;
  params.mirostat = 2;
  params.mirostat_tau = 1.5F;
  params.mirostat_eta = 0.3F;
  params.seed = 11;
  const std::vector<float> logits = {3, 2.5F, 2, 1.5F, 1, 0.5F, 0, -0.5F};
  double sum = 0;
  for (const float logit : logits)
    sum += std::exp(static_cast<double>(logit));
  Sampler sampler(params);
  double limit = 3.0;
  for (int i = 0; i < 60; ++i) {
    std::size_t kept = 0;
    double kept_sum = 0;
    while (kept < logits.size() && -std::log2(std::exp(static_cast<double>(logits[kept])) / sum) <= limit)
      kept_sum += std::exp(static_cast<double>(logits[kept++]));
    const auto distribution = sampler.distribution(logits);
    ASSERT_EQ(distribution.size(), std::max<std::size_t>(kept, 1)) << i;
    if (kept == 0) kept_sum = std::exp(static_cast<double>(logits[0]));
    const Result<TokenId> token = sampler.sample(logits);
    ASSERT_TRUE(token.ok());
    sampler.accept(*token);
    const double probability = std::exp(static_cast<double>(logits[static_cast<std::size_t>(*token)])) / kept_sum;
    limit -=
        static_cast<double>(params.mirostat_eta) * (-std::log2(probability) - static_cast<double>(params.mirostat_tau));
  }
}

// All stages that remember, on.
SamplingParams busy_params() {
  SamplingParams params;
  params.seed = 3;
  params.temperature = 1.3F;
  params.top_k = 0;
  params.top_p = 0.98F;
  params.repetition_penalty = 1.2F;
  params.frequency_penalty = 0.3F;
  params.penalty_last_n = 7;
  params.dry_multiplier = 0.8F;
  params.xtc_probability = 0.4F;
  params.xtc_threshold = 0.05F;
  params.bad_token_sequences = {{1, 2}, {4}};
  return params;
}

std::vector<float> logits_after(TokenId token) {
  std::vector<float> logits(40);
  for (std::size_t i = 0; i < logits.size(); ++i) {
    logits[i] = static_cast<float>(
        4 * random_unit(static_cast<std::uint64_t>(token), static_cast<std::uint64_t>(i), RandomUse::kToken));
  }
  return logits;
}

std::vector<TokenId> continue_with(Sampler& sampler, TokenId last, int count) {
  std::vector<TokenId> tokens;
  for (int i = 0; i < count; ++i) {
    const Result<TokenId> token = sampler.sample(logits_after(last));
    EXPECT_TRUE(token.ok());
    sampler.accept(*token);
    tokens.push_back(*token);
    last = *token;
  }
  return tokens;
}

TEST(SamplerStateTest, RollbackAndCloneRestoreWhatWas) {
  const std::vector<TokenId> prompt = {1, 2, 3, 1, 2, 5, 6, 7, 8, 9};
  for (const int mirostat : {0, 2}) {
    SamplingParams params = busy_params();
    params.mirostat = mirostat;
    Sampler plain(params);
    plain.accept_prompt(prompt);
    const std::vector<TokenId> expected = continue_with(plain, 9, 60);

    Sampler disturbed(params);
    disturbed.accept_prompt(prompt);
    TokenId last = 9;
    std::vector<TokenId> tokens;
    for (int i = 0; i < 60; ++i) {
      // What is proposed and taken back, drawn or given, leaves no trace.
      continue_with(disturbed, last, i % 9);
      for (int j = 0; j < i % 4; ++j)
        disturbed.accept(i % 40);
      disturbed.rollback(i % 9 + i % 4);
      Sampler copy = disturbed.clone();
      EXPECT_EQ(continue_with(copy, last, std::min(60 - i, 5)),
                std::vector<TokenId>(expected.begin() + i, expected.begin() + std::min(i + 5, 60)));
      const Result<TokenId> token = disturbed.sample(logits_after(last));
      ASSERT_EQ(*token, *disturbed.sample(logits_after(last)));  // asking twice changes nothing
      disturbed.accept(*token);
      tokens.push_back(*token);
      last = *token;
    }
    EXPECT_EQ(tokens, expected);
    EXPECT_EQ(disturbed.num_generated(), 60);
  }
}

TEST(SamplerStateTest, ChoicesDiffer) {
  Sampler first(busy_params());
  Sampler second = first.clone_for_choice(1);
  Sampler again = first.clone_for_choice(0);
  const std::vector<TokenId> tokens = continue_with(first, 1, 30);
  EXPECT_NE(continue_with(second, 1, 30), tokens);
  EXPECT_EQ(continue_with(again, 1, 30), tokens);
}

}  // namespace
}  // namespace mlxr
