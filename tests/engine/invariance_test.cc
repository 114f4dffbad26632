// A request's tokens and log probabilities are the same bits alone or among others, whatever the chunks, preemptions,
// swaps, prefixes, forks and restarts on the way.

#include <random>

#include "tests/support/engine_testing.h"
#include "tests/support/temp_dir.h"

namespace mlxr {
namespace {

using test::answer;
using test::engine_or_die;
using test::EngineSetup;
using test::random_prompt;

constexpr TokenId kVocab = 64;  // prompts of few ids, which every fixture has

// A mix of lengths, temperatures and wishes; some prompts begin alike.
std::vector<GenerateRequest> mixed_requests(std::size_t count) {
  std::vector<GenerateRequest> requests;
  std::mt19937 random(11);
  for (std::size_t i = 0; i < count; ++i) {
    GenerateRequest request;
    request.prompt = random_prompt(i % 3, 20 + 30 * (i % 3), kVocab);
    const auto tail = random_prompt(100 + i, 1 + random() % 60, kVocab);
    request.prompt.insert(request.prompt.end(), tail.begin(), tail.end());
    request.sampling.temperature = i % 2 == 0 ? 0.0F : 1.2F;
    request.sampling.seed = i;
    request.sampling.repetition_penalty = i % 4 == 3 ? 1.3F : 1.0F;
    request.max_tokens = static_cast<std::int64_t>(4 + random() % 30);
    request.ignore_end_of_text = true;
    request.logprobs = true;
    request.top_logprobs = 2;
    request.origin.caller_key = i % 2 == 0 ? "even" : "odd";
    request.origin.priority = static_cast<int>(i % 3);
    requests.push_back(std::move(request));
  }
  return requests;
}

void expect_same(const Choice& a, const Choice& b) {
  EXPECT_EQ(a.tokens, b.tokens);
  EXPECT_EQ(a.text, b.text);
  EXPECT_EQ(a.finish.reason, b.finish.reason);
  ASSERT_EQ(a.logprobs.size(), b.logprobs.size());
  for (std::size_t i = 0; i < a.logprobs.size(); ++i) {
    EXPECT_EQ(a.logprobs[i].chosen.logprob, b.logprobs[i].chosen.logprob) << i;
    ASSERT_EQ(a.logprobs[i].top.size(), b.logprobs[i].top.size());
    for (std::size_t k = 0; k < a.logprobs[i].top.size(); ++k) {
      EXPECT_EQ(a.logprobs[i].top[k].token, b.logprobs[i].top[k].token);
      EXPECT_EQ(a.logprobs[i].top[k].logprob, b.logprobs[i].top[k].logprob);
    }
  }
}

class Invariance : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    setup_.model = test::fixture(std::string("hf/") + GetParam());
    setup_.engine.context = 256;
    requests_ = mixed_requests(12);
    EngineSetup plain = setup_;
    plain.engine.speculate = false;
    const auto engine = engine_or_die(plain);
    for (GenerateRequest request : requests_) {
      request.reuse_prefix = false;
      alone_.push_back(answer(*engine, std::move(request)).choices.at(0));
    }
  }

  static bool windowed() { return std::string(GetParam()) == "mistral-swa"; }

  // All at once; what they say must be what they said alone.
  void expect_alike(Engine& engine) {
    std::vector<std::shared_ptr<ResponseStream>> streams;
    for (const GenerateRequest& request : requests_) {
      auto stream = engine.generate(request);
      ASSERT_TRUE(stream.ok()) << stream.status().message();
      streams.push_back(*stream);
    }
    for (std::size_t i = 0; i < streams.size(); ++i) {
      SCOPED_TRACE(i);
      const Result<CompletedRequest> done = collect(*streams[i]);
      ASSERT_TRUE(done.ok()) << done.status().message();
      expect_same(alone_[i], done->choices.at(0));
      preemptions_ += done->done.num_preemptions;
      cached_ += done->done.cached_tokens;
    }
  }

  EngineSetup setup_;
  std::vector<GenerateRequest> requests_;
  std::vector<Choice> alone_;
  std::int64_t preemptions_ = 0;
  std::int64_t cached_ = 0;
};

TEST_P(Invariance, Together) {
  expect_alike(*engine_or_die(setup_));
}

TEST_P(Invariance, InSmallChunks) {
  setup_.scheduler.max_step_tokens = 13;
  setup_.scheduler.max_running = 8;
  setup_.scheduler.min_prefill_tokens = 1;
  expect_alike(*engine_or_die(setup_));
}

TEST_P(Invariance, WithSmallBlocks) {
  setup_.engine.block_tokens = 16;
  expect_alike(*engine_or_die(setup_));
}

TEST_P(Invariance, PreemptedAndComputedAgain) {
  setup_.engine.kv_tokens = 288;
  setup_.engine.block_tokens = 16;
  setup_.scheduler.headroom_tokens = 0;
  setup_.scheduler.watermark = 0.0;
  expect_alike(*engine_or_die(setup_));
  if (!windowed()) {  // a window gives memory back as it goes
    EXPECT_GT(preemptions_, 0);
  }
}

TEST_P(Invariance, PreemptedAndSwapped) {
  setup_.engine.kv_tokens = 288;
  setup_.engine.block_tokens = 16;
  setup_.engine.swap_tokens = 4096;
  setup_.scheduler.headroom_tokens = 0;
  setup_.scheduler.watermark = 0.0;
  setup_.scheduler.min_swap_tokens = 0;
  setup_.scheduler.swap_bytes_per_ms = 1e15;
  const auto engine = engine_or_die(setup_);
  expect_alike(*engine);
  if (!windowed()) {  // a window gives memory back as it goes
    EXPECT_GT(preemptions_, 0);
    EXPECT_GT(engine->stats().scheduler.num_swapped_out, 0U);
  }
}

TEST_P(Invariance, AfterARestart) {
  const test::TempDir folder;
  setup_.engine.store_folder = folder.path();
  setup_.engine.block_tokens = 16;
  expect_alike(*engine_or_die(setup_));
  cached_ = 0;
  expect_alike(*engine_or_die(setup_));
  EXPECT_GE(cached_, 12 * 16);
}

TEST_P(Invariance, AmongChoicesOfOnePrompt) {
  for (GenerateRequest& request : requests_)
    request.n = 3;
  expect_alike(*engine_or_die(setup_));
}

INSTANTIATE_TEST_SUITE_P(Models, Invariance, testing::Values("llama", "mistral-swa"), [](const auto& model) {
  return std::string(model.param == std::string("llama") ? "llama" : "windowed");
});

}  // namespace
}  // namespace mlxr
