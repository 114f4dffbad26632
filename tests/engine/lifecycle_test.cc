// How requests and engines end: cancelled, expired, refused, drained, shut down.

#include <filesystem>
#include <thread>

#include "tests/support/engine_testing.h"
#include "tests/support/temp_dir.h"

namespace mlxr {
namespace {

using test::answer;
using test::engine_or_die;
using test::random_prompt;

GenerateRequest endless(std::uint64_t seed, std::size_t length) {
  GenerateRequest request;
  request.prompt = random_prompt(seed, length, 64);
  request.sampling.temperature = 0.0F;
  request.ignore_end_of_text = true;
  return request;
}

template <class T>
std::optional<T> next_of(ResponseStream& stream) {
  while (std::optional<Event> event = stream.next()) {
    if (auto* found = std::get_if<T>(&*event)) return std::move(*found);
  }
  return std::nullopt;
}

TEST(EngineLifecycle, CancelledWhileGenerating) {
  const auto engine = engine_or_die({});
  const auto stream = *engine->generate(endless(1, 5));
  ASSERT_TRUE(next_of<DeltaEvent>(*stream));
  stream->cancel();
  const auto finish = next_of<FinishEvent>(*stream);
  ASSERT_TRUE(finish);
  EXPECT_EQ(finish->reason, FinishReason::kCancelled);
  EXPECT_TRUE(next_of<DoneEvent>(*stream));
  EXPECT_FALSE(stream->next());
  EXPECT_TRUE(stream->finished());
  stream->cancel();  // nothing is left to cancel
  engine->drain();
  EXPECT_EQ(engine->stats().kv.used_blocks, 0);
}

TEST(EngineLifecycle, CancelledInsideThePrompt) {
  const auto engine = engine_or_die({.scheduler = {.max_step_tokens = 2, .max_running = 1, .min_prefill_tokens = 1}});
  const auto stream = *engine->generate(endless(2, 200));
  stream->cancel();
  EXPECT_EQ(next_of<FinishEvent>(*stream)->reason, FinishReason::kCancelled);
  engine->drain();
  EXPECT_LT(engine->stats().computed_tokens, 200U);
}

TEST(EngineLifecycle, CancelledWithAllItsChoices) {
  const auto engine = engine_or_die({});
  GenerateRequest request = endless(3, 5);
  request.n = 3;
  const auto stream = *engine->generate(request);
  ASSERT_TRUE(next_of<PromptEvent>(*stream));
  stream->cancel();
  const Result<CompletedRequest> done = collect(*stream);
  ASSERT_TRUE(done.ok());
  for (const Choice& choice : done->choices)
    EXPECT_EQ(choice.finish.reason, FinishReason::kCancelled);
}

TEST(EngineLifecycle, DeadlinesEndRequests) {
  const auto engine = engine_or_die({});
  GenerateRequest request = endless(4, 5);
  request.origin.deadline = std::chrono::steady_clock::now();
  const auto stream = *engine->generate(request);
  const Result<CompletedRequest> done = collect(*stream);
  EXPECT_EQ(done.status().code(), StatusCode::kCancelled);
  EXPECT_NE(done.status().message().find("deadline"), std::string::npos);
}

TEST(EngineLifecycle, AWeightFileThatIsCutShortFailsTheModelAndNothingElse) {
  const test::TempDir folder;
  const std::string path = folder.path("draft.gguf");
  std::filesystem::copy_file(test::sprout("sprout-draft-3m-q8_0.gguf"), path);
  const auto engine = engine_or_die({.model = path, .engine = {.prefault = false}});
  const auto other = engine_or_die({});
  const auto running = *engine->generate(endless(5, 5));
  ASSERT_TRUE(next_of<DeltaEvent>(*running));
  std::filesystem::resize_file(path, 4096);
  const auto failed = next_of<FailedEvent>(*running);
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->status.code(), StatusCode::kCorrupt);
  EXPECT_NE(failed->status.message().find("cut short"), std::string::npos) << failed->status.message();
  EXPECT_EQ(collect(**engine->generate(endless(6, 5))).status().code(), StatusCode::kCorrupt);
  GenerateRequest short_request = endless(7, 5);
  short_request.max_tokens = 3;
  EXPECT_EQ(answer(*other, short_request).choices.front().tokens.size(), 3U);
}

TEST(EngineLifecycle, AFullQueueRefuses) {
  const auto engine = engine_or_die({.scheduler = {.max_running = 1, .max_queued_requests = 2}});
  std::vector<std::shared_ptr<ResponseStream>> streams;
  for (std::uint64_t i = 0; i < 8; ++i)
    streams.push_back(*engine->generate(endless(i, 5)));
  int refused = 0;
  for (std::size_t i = streams.size(); i-- > 0;) {
    streams[i]->cancel();
    const Result<CompletedRequest> done = collect(*streams[i]);
    if (done.ok()) continue;
    EXPECT_EQ(done.status().code(), StatusCode::kResourceExhausted) << done.status().message();
    ++refused;
  }
  EXPECT_GE(refused, 1);
}

TEST(EngineLifecycle, WhatNeverFitsFailsAlone) {
  const auto engine = engine_or_die({.engine = {.context = 256, .kv_tokens = 64}});
  const auto large = *engine->generate(endless(5, 200));
  GenerateRequest small = endless(6, 10);
  small.max_tokens = 4;
  EXPECT_EQ(answer(*engine, small).choices.at(0).tokens.size(), 4U);
  EXPECT_EQ(collect(*large).status().code(), StatusCode::kResourceExhausted);
}

TEST(EngineLifecycle, ShuttingDownFailsWhatIsOpen) {
  std::shared_ptr<ResponseStream> stream;
  {
    const auto engine = engine_or_die({});
    stream = *engine->generate(endless(7, 5));
    ASSERT_TRUE(next_of<DeltaEvent>(*stream));
  }
  const auto failed = next_of<FailedEvent>(*stream);
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->status.code(), StatusCode::kCancelled);
  stream->cancel();
}

TEST(EngineLifecycle, DrainingFinishesAndRefuses) {
  const auto engine = engine_or_die({});
  GenerateRequest request = endless(8, 5);
  request.max_tokens = 50;
  const auto stream = *engine->generate(request);
  engine->drain();
  EXPECT_EQ(collect(*stream)->choices.at(0).tokens.size(), 50U);
  EXPECT_FALSE(engine->generate(request).ok());
  EXPECT_EQ(engine->num_open(), 0);
}

TEST(EngineLifecycle, ManyThreadsSubmitAndCancel) {
  const auto engine = engine_or_die({});
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&engine, t] {
      for (std::uint64_t i = 0; i < 8; ++i) {
        GenerateRequest request = endless(10 * t + i, 3 + i);
        request.max_tokens = 10;
        const auto stream = *engine->generate(request);
        if (i % 3 == 1) stream->cancel();
        const Result<CompletedRequest> done = collect(*stream);
        EXPECT_TRUE(done.ok()) << done.status().message();
        if (i % 3 != 1) {
          EXPECT_EQ(done->choices.at(0).tokens.size(), 10U);
        }
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  engine->drain();
  EXPECT_EQ(engine->stats().kv.used_blocks, 0);
}

TEST(EngineLifecycle, ListenersHearOfEvents) {
  const auto engine = engine_or_die({});
  std::atomic<int> heard{0};
  GenerateRequest request = endless(9, 5);
  request.max_tokens = 3;
  const auto stream = *engine->generate(request);
  stream->on_event([&heard] { ++heard; });
  engine->drain();
  EXPECT_GE(heard.load(), 1);
  EXPECT_EQ(collect(*stream)->choices.at(0).tokens.size(), 3U);
}

}  // namespace
}  // namespace mlxr
