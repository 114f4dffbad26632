// Speculation changes how fast tokens come and nothing else.

#include "core/runtime/chat_prompt.h"
#include "tests/support/engine_testing.h"

namespace mlxr {
namespace {

using test::answer;
using test::engine_or_die;
using test::EngineSetup;

EngineSetup sprout(bool speculate, bool draft) {
  EngineSetup setup{.model = test::sprout("sprout-28m-q5_k_m.gguf")};
  setup.engine.speculate = speculate;
  if (draft) setup.engine.draft_path = test::sprout("sprout-draft-3m-q8_0.gguf");
  return setup;
}

std::vector<GenerateRequest> requests(const Engine& engine) {
  std::vector<GenerateRequest> result;
  for (const char* text :
       {"Once upon a time there was a small", "The quick brown fox. The quick brown fox. The quick"}) {
    for (const float temperature : {0.0F, 0.7F}) {
      GenerateRequest request;
      request.prompt = engine.model().tokenizer()->encode(text);
      request.sampling.temperature = temperature;
      request.sampling.seed = 3;
      request.max_tokens = 60;
      request.ignore_end_of_text = true;
      request.logprobs = true;
      result.push_back(std::move(request));
    }
  }
  return result;
}

TEST(Speculation, TokensAndLogprobsAreThoseWithout) {
  const auto plain = engine_or_die(sprout(false, false));
  for (const bool draft : {false, true}) {
    const auto engine = engine_or_die(sprout(true, draft));
    std::int64_t accepted = 0;
    std::vector<std::shared_ptr<ResponseStream>> streams;
    for (GenerateRequest& request : requests(*plain))
      streams.push_back(*engine->generate(std::move(request)));
    std::size_t index = 0;
    for (GenerateRequest& request : requests(*plain)) {
      SCOPED_TRACE(index);
      const Choice expected = answer(*plain, std::move(request)).choices.at(0);
      const Result<CompletedRequest> done = collect(*streams[index++]);
      ASSERT_TRUE(done.ok()) << done.status().message();
      const Choice& got = done->choices.at(0);
      EXPECT_EQ(got.tokens, expected.tokens);
      EXPECT_EQ(got.text, expected.text);
      ASSERT_EQ(got.logprobs.size(), expected.logprobs.size());
      for (std::size_t i = 0; i < got.logprobs.size(); ++i)
        EXPECT_EQ(got.logprobs[i].chosen.logprob, expected.logprobs[i].chosen.logprob);
      EXPECT_EQ(expected.finish.speculation.proposed, 0);
      EXPECT_LE(got.finish.speculation.accepted, got.finish.speculation.proposed);
      accepted += got.finish.speculation.accepted;
    }
    EXPECT_GT(accepted, 0) << (draft ? "draft" : "text");
    EXPECT_EQ(engine->stats().accepted_tokens, static_cast<std::uint64_t>(accepted));
  }
}

TEST(Speculation, ARequestMayDoWithout) {
  const auto engine = engine_or_die(sprout(true, true));
  GenerateRequest request = requests(*engine).at(0);
  request.max_draft_tokens = 0;
  EXPECT_EQ(answer(*engine, std::move(request)).choices.at(0).finish.speculation.proposed, 0);
}

TEST(Speculation, ADraftOfAnotherVocabularyIsRefused) {
  EngineSetup setup = sprout(true, false);
  setup.engine.draft_path = test::fixture("hf/llama");
  const auto engine = test::start_engine(setup);
  ASSERT_FALSE(engine.ok());
  EXPECT_NE(engine.status().message().find("hf/llama"), std::string::npos) << engine.status().message();
}

}  // namespace
}  // namespace mlxr
