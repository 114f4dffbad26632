// What an engine answers: against the plain generator, and what requests may ask for.

#include "core/runtime/engine/engine.h"

#include <cmath>
#include <numeric>

#include "core/runtime/generator.h"
#include "tests/support/engine_testing.h"

namespace mlxr {
namespace {

using test::answer;
using test::engine_or_die;
using test::random_prompt;

GenerateRequest greedy(std::vector<TokenId> prompt, std::int64_t max_tokens) {
  GenerateRequest request;
  request.prompt = std::move(prompt);
  request.sampling.temperature = 0.0F;
  request.max_tokens = max_tokens;
  request.ignore_end_of_text = true;
  return request;
}

class EngineAnswers : public testing::Test {
 protected:
  EngineAnswers() : engine_(engine_or_die({})) {
    vocab_ = static_cast<TokenId>(engine_->model().model().config().vocab_size);
  }

  std::vector<TokenId> prompt(std::uint64_t seed, std::size_t length) const {
    return random_prompt(seed, length, vocab_);
  }

  std::unique_ptr<Engine> engine_;
  TokenId vocab_ = 0;
};

TEST_F(EngineAnswers, AreThoseOfTheGenerator) {
  Result<std::unique_ptr<LoadedModel>> model = LoadedModel::open(test::fixture("hf/llama"), {.num_threads = 2});
  ASSERT_TRUE(model.ok());
  Result<std::unique_ptr<Generator>> generator = Generator::make(**model);
  ASSERT_TRUE(generator.ok());
  for (const float temperature : {0.0F, 1.0F}) {
    GenerateOptions options;
    options.sampling.temperature = temperature;
    options.sampling.seed = 17;
    options.max_tokens = 24;
    const auto ids = prompt(3, 19);
    const Result<GenerateResult> expected = (*generator)->generate(ids, options, {});
    ASSERT_TRUE(expected.ok());
    GenerateRequest request;
    request.prompt = ids;
    request.sampling = options.sampling;
    request.max_tokens = 24;
    const CompletedRequest done = answer(*engine_, std::move(request));
    ASSERT_EQ(done.choices.size(), 1U);
    EXPECT_EQ(done.choices[0].tokens, expected->tokens);
    EXPECT_EQ(done.choices[0].text, expected->text);
    EXPECT_EQ(done.choices[0].finish.reason, expected->finish_reason);
  }
}

TEST_F(EngineAnswers, CountsAndTimesWhatItDid) {
  const CompletedRequest done = answer(*engine_, greedy(prompt(1, 40), 5));
  EXPECT_EQ(done.done.prompt_tokens, 40);
  EXPECT_EQ(done.done.cached_tokens, 0);
  EXPECT_EQ(done.done.generated_tokens, 5);
  EXPECT_EQ(done.choices[0].finish.reason, FinishReason::kMaxTokens);
  EXPECT_EQ(done.choices[0].finish.num_tokens, 5);
  EXPECT_GE(done.done.timings.prompt_ms, 0.0);
  const CompletedRequest again = answer(*engine_, greedy(prompt(1, 40), 5));
  EXPECT_EQ(again.done.cached_tokens, 32);  // one full block
  EXPECT_EQ(again.choices[0].tokens, done.choices[0].tokens);
}

TEST_F(EngineAnswers, SaltsKeepPrefixesApart) {
  GenerateRequest first = greedy(prompt(2, 70), 2);
  first.origin.cache_salt = "a";
  GenerateRequest second = first;
  second.origin.cache_salt = "b";
  GenerateRequest third = first;
  EXPECT_EQ(answer(*engine_, first).done.cached_tokens, 0);
  EXPECT_EQ(answer(*engine_, second).done.cached_tokens, 0);
  EXPECT_EQ(answer(*engine_, third).done.cached_tokens, 64);
}

TEST_F(EngineAnswers, ChoicesHaveSeedsOfTheirOwnAndTheFirstIsThatOfOneAlone) {
  GenerateRequest request = greedy(prompt(4, 37), 12);
  request.sampling.temperature = 1.5F;
  request.sampling.top_k = 0;
  request.sampling.top_p = 1.0F;
  request.sampling.min_p = 0.0F;
  request.sampling.seed = 5;
  const CompletedRequest alone = answer(*engine_, request);
  request.n = 4;
  const CompletedRequest four = answer(*engine_, request);
  ASSERT_EQ(four.choices.size(), 4U);
  EXPECT_EQ(four.choices[0].tokens, alone.choices[0].tokens);
  EXPECT_EQ(four.done.generated_tokens, 48);
  for (std::size_t i = 1; i < 4; ++i) {
    EXPECT_NE(four.choices[i].tokens, four.choices[0].tokens) << i;
    // A choice can be had again from the seed that it reports.
    GenerateRequest one = request;
    one.n = 1;
    one.sampling.seed = four.choices[i].finish.seed;
    EXPECT_EQ(answer(*engine_, one).choices[0].tokens, four.choices[i].tokens) << i;
  }
}

TEST_F(EngineAnswers, BestOfAnswersTheLikeliest) {
  GenerateRequest request = greedy(prompt(5, 12), 8);
  request.sampling.temperature = 2.0F;
  request.sampling.seed = 9;
  request.n = 6;
  request.logprobs = true;
  const CompletedRequest all = answer(*engine_, request);
  std::vector<double> means;
  for (const Choice& choice : all.choices) {
    double sum = 0.0;
    for (const Logprobs& logprobs : choice.logprobs)
      sum += logprobs.chosen.logprob;
    EXPECT_NEAR(sum, choice.finish.cumulative_logprob, 1e-9);
    means.push_back(sum / 8.0);
  }
  std::sort(means.begin(), means.end(), std::greater<>());
  request.n = 2;
  request.best_of = 6;
  const CompletedRequest best = answer(*engine_, request);
  ASSERT_EQ(best.choices.size(), 2U);
  EXPECT_NEAR(best.choices[0].finish.cumulative_logprob / 8.0, means[0], 1e-9);
  EXPECT_NEAR(best.choices[1].finish.cumulative_logprob / 8.0, means[1], 1e-9);
  EXPECT_EQ(best.done.generated_tokens, 48);
}

TEST_F(EngineAnswers, LogprobsOfThePromptAreThoseOfTheGeneratedText) {
  GenerateRequest request = greedy(prompt(6, 9), 20);
  request.logprobs = true;
  request.top_logprobs = 3;
  const Choice generated = answer(*engine_, request).choices.at(0);
  ASSERT_EQ(generated.logprobs.size(), 20U);
  request.prompt.insert(request.prompt.end(), generated.tokens.begin(), generated.tokens.end());
  request.max_tokens = 0;
  request.prompt_logprobs = true;
  const CompletedRequest echoed = answer(*engine_, request);
  ASSERT_EQ(echoed.prompt.logprobs.size(), 28U);
  EXPECT_TRUE(echoed.choices.at(0).tokens.empty());
  for (std::size_t i = 0; i < 20; ++i) {
    const Logprobs& a = generated.logprobs[i];
    const Logprobs& b = echoed.prompt.logprobs[8 + i];
    EXPECT_EQ(a.chosen.token, b.chosen.token);
    EXPECT_EQ(a.chosen.logprob, b.chosen.logprob);
    ASSERT_EQ(b.top.size(), 3U);
    for (std::size_t k = 0; k < 3; ++k)
      EXPECT_EQ(a.top[k].logprob, b.top[k].logprob);
  }
}

TEST_F(EngineAnswers, StopStringsEndTheText) {
  const CompletedRequest whole = answer(*engine_, greedy(prompt(7, 10), 30));
  const std::string text = whole.choices[0].text;
  ASSERT_GT(text.size(), 12U);
  GenerateRequest request = greedy(prompt(7, 10), 30);
  request.stop = {text.substr(8, 3)};
  const CompletedRequest cut = answer(*engine_, request);
  EXPECT_EQ(cut.choices[0].finish.reason, FinishReason::kStopString);
  EXPECT_EQ(cut.choices[0].finish.stop_string, request.stop[0]);
  EXPECT_EQ(cut.choices[0].text, text.substr(0, text.find(request.stop[0])));
}

TEST_F(EngineAnswers, TheContextIsTheLimit) {
  const auto engine = engine_or_die({.engine = {.context = 48}});
  const CompletedRequest done = answer(*engine, greedy(prompt(8, 40), -1));
  EXPECT_EQ(done.choices[0].finish.reason, FinishReason::kContextFull);
  EXPECT_EQ(done.choices[0].tokens.size(), 8U);
}

// The hidden states of a prompt, pooled by hand, against the engine's.
TEST_F(EngineAnswers, EmbeddingsArePooledHiddenStates) {
  Result<std::unique_ptr<LoadedModel>> model = LoadedModel::open(test::fixture("hf/llama"), {.num_threads = 2});
  ASSERT_TRUE(model.ok());
  const auto hidden = static_cast<std::size_t>((*model)->model().config().hidden_size);
  const auto ids = prompt(9, 50);
  const SequenceId sequence = *(*model)->cache().open();
  StepRows rows;
  const SequencePiece piece{sequence, ids, RowsWanted::kNone, RowsWanted::kAll};
  ASSERT_TRUE((*model)->runner().run({&piece, 1}, rows).ok());
  ASSERT_EQ(rows.hidden.size(), ids.size() * hidden);
  ASSERT_TRUE(rows.logits.empty());

  for (const Pooling pooling : {Pooling::kMean, Pooling::kCls, Pooling::kLast}) {
    std::vector<double> expected(hidden);
    for (std::size_t t = 0; t < ids.size(); ++t) {
      const bool used = pooling == Pooling::kMean || t == (pooling == Pooling::kCls ? 0 : ids.size() - 1);
      for (std::size_t i = 0; i < hidden && used; ++i)
        expected[i] += static_cast<double>(rows.hidden[t * hidden + i]);
    }
    const double length = std::sqrt(std::inner_product(expected.begin(), expected.end(), expected.begin(), 0.0));
    EmbedRequest request{.inputs = {ids, prompt(10, 7)}, .pooling = pooling};
    const auto stream = engine_->embed(std::move(request));
    ASSERT_TRUE(stream.ok());
    const Result<CompletedRequest> done = collect(**stream);
    ASSERT_TRUE(done.ok()) << done.status().message();
    ASSERT_EQ(done->embeddings.size(), 2U);
    ASSERT_EQ(done->embeddings[0].size(), hidden);
    for (std::size_t i = 0; i < hidden; ++i)
      EXPECT_NEAR(static_cast<double>(done->embeddings[0][i]), expected[i] / length, 1e-6);
    EXPECT_EQ(done->done.prompt_tokens, 57);
  }
}

TEST_F(EngineAnswers, BadRequestsAreRefusedByName) {
  const auto refusal = [&](auto change) {
    GenerateRequest request = greedy(prompt(1, 4), 2);
    change(request);
    const auto stream = engine_->generate(std::move(request));
    return stream.ok() ? Status{} : stream.status();
  };
  EXPECT_NE(refusal([](auto& r) { r.prompt.clear(); }).message().find("the prompt is empty"), std::string::npos);
  EXPECT_NE(refusal([this](auto& r) { r.prompt[2] = vocab_; }).message().find("outside the vocabulary"),
            std::string::npos);
  EXPECT_NE(refusal([](auto& r) { r.n = 0; }).message().find("n is 0"), std::string::npos);
  EXPECT_NE(refusal([](auto& r) { r.n = 3, r.best_of = 2; }).message().find("best_of is 2"), std::string::npos);
  EXPECT_NE(refusal([](auto& r) { r.sampling.top_p = 2.0F; }).message().find("top_p"), std::string::npos);
  EXPECT_NE(refusal([](auto& r) { r.origin.priority = 1000; }).message().find("priority"), std::string::npos);
  EXPECT_EQ(refusal([this](auto& r) { r.prompt = prompt(1, 100000); }).code(), StatusCode::kResourceExhausted);
  EXPECT_FALSE(engine_->embed({.inputs = {}}).ok());
  EXPECT_FALSE(engine_->embed({.inputs = {{}}}).ok());
}

}  // namespace
}  // namespace mlxr
