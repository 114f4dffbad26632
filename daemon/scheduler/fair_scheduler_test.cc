#include "daemon/scheduler/fair_scheduler.h"

#include <cmath>

#include <gtest/gtest.h>

#include "daemon/scheduler/scheduler_test_engine.h"

namespace mlxr {
namespace {

using std::chrono::milliseconds;
using Wish = StepDriver::Wish;

std::int64_t tokens_of(const StepPlan& plan, bool prefill) {
  std::int64_t tokens = 0;
  for (const StepPiece& piece : plan.pieces)
    tokens += piece.prefill == prefill ? piece.num_tokens : 0;
  return tokens;
}

TEST(FairScheduler, RunsOneRequestToItsEnd) {
  CountingLedger ledger(100, 16);
  StepDriver driver({}, ledger);
  const RequestId id = driver.submit({.caller_key = "a", .prompt_tokens = 100, .answer_tokens = 3});
  driver.step();
  ASSERT_EQ(driver.last.admitted, std::vector<RequestId>{id});
  ASSERT_EQ(driver.last.pieces.size(), 1u);
  EXPECT_EQ(driver.last.pieces[0].num_tokens, 100);
  EXPECT_TRUE(driver.last.pieces[0].prefill);
  EXPECT_TRUE(driver.last.pieces[0].samples);
  driver.step();
  EXPECT_EQ(driver.last.pieces[0].num_tokens, 1);
  EXPECT_FALSE(driver.last.pieces[0].prefill);
  driver.drain();
  EXPECT_EQ(driver.num_steps, 3);
  EXPECT_EQ(driver.run(id).ending, Ending::kFinished);
  EXPECT_FALSE(driver.step());
  EXPECT_EQ(driver.scheduler().stats().num_finished, 1u);
  EXPECT_EQ(driver.scheduler().caller_stats("a").prompt_tokens, 100);
  EXPECT_EQ(driver.scheduler().caller_stats("a").generated_tokens, 3);
  EXPECT_EQ(driver.scheduler().caller_stats("nobody").service, 0);
}

TEST(FairScheduler, CutsPromptsIntoStepsAndPutsDecodesFirst) {
  CountingLedger ledger(1000, 16);
  StepDriver driver({.max_step_tokens = 128, .max_running = 8}, ledger);
  driver.submit({.prompt_tokens = 20, .answer_tokens = 50});
  driver.step();
  const RequestId large = driver.submit({.prompt_tokens = 300, .answer_tokens = 2});
  for (const std::int64_t expected : {127, 127, 46}) {
    driver.step();
    ASSERT_EQ(driver.last.pieces.size(), 2u);
    EXPECT_FALSE(driver.last.pieces[0].prefill);
    EXPECT_EQ(driver.last.pieces[1].id, large);
    EXPECT_EQ(driver.last.pieces[1].num_tokens, expected);
    EXPECT_EQ(driver.last.pieces[1].samples, expected == 46);
  }
  driver.drain();
}

TEST(FairScheduler, CountsWhatAPrefixCovers) {
  CountingLedger ledger(100, 16);
  StepDriver driver({}, ledger);
  ledger.prefixes[1] = 96;
  driver.submit({.caller_key = "a", .prompt_tokens = 100, .answer_tokens = 2});
  driver.step();
  EXPECT_EQ(driver.last.pieces[0].num_tokens, 4);
  EXPECT_EQ(driver.scheduler().caller_stats("a").prompt_tokens, 4);
  // Four tokens of the prompt and one generated at the cost of two.
  EXPECT_EQ(driver.scheduler().caller_stats("a").service, 6);
}

TEST(FairScheduler, HoldsTheTargetLatencyOnceItKnowsTheMachine) {
  CountingLedger ledger(100000, 16);
  StepDriver driver({.max_step_tokens = 2048, .max_running = 16, .target_latency_ms = 30}, ledger);
  for (int i = 0; i < 4; ++i)
    driver.submit({.caller_key = "chat", .prompt_tokens = 100, .answer_tokens = 400});
  driver.step();
  driver.submit({.caller_key = "book", .prompt_tokens = 40000, .answer_tokens = 1});
  for (int i = 0; i < 20; ++i)
    driver.step();
  // 5 ms + 4 decodes of 0.2 ms leave 24.2 ms for prefill at 0.1 ms a token: 242 tokens.
  for (int i = 0; i < 20; ++i) {
    driver.step();
    EXPECT_LE(driver.last_ms, 30 * 1.02);
    EXPECT_GE(tokens_of(driver.last, true), 225);
  }
}

TEST(FairScheduler, PrefillProgressesUnderAnImpossibleTarget) {
  CountingLedger ledger(100000, 16);
  StepDriver driver({.max_running = 16, .target_latency_ms = 1, .min_prefill_tokens = 24}, ledger);
  driver.submit({.prompt_tokens = 100, .answer_tokens = 400});
  driver.step();
  const RequestId id = driver.submit({.prompt_tokens = 1200, .answer_tokens = 1});
  for (int i = 0; i < 60; ++i)
    driver.step();
  EXPECT_EQ(driver.run(id).ending, Ending::kFinished);
}

TEST(FairScheduler, GrantsDraftsWithinTheStep) {
  CountingLedger ledger(1000, 16);
  StepDriver driver({.max_step_tokens = 12, .max_running = 4, .min_prefill_tokens = 4}, ledger);
  std::vector<RequestId> ids;
  for (int i = 0; i < 3; ++i)
    ids.push_back(driver.submit({.prompt_tokens = 4, .answer_tokens = 40}));
  driver.step();
  for (const RequestId id : ids)
    driver.want_drafts(id, id == ids[0] ? 1 : 8);
  driver.step();
  // 12 rows less 3 decodes are 9: one asked for 1, the others share 8.
  std::map<RequestId, std::int64_t> drafts;
  for (const StepPiece& piece : driver.last.pieces)
    drafts[piece.id] = piece.draft_tokens;
  EXPECT_EQ(drafts[ids[0]], 1);
  EXPECT_EQ(drafts[ids[1]] + drafts[ids[2]], 8);
  // With a prompt waiting, its least share is kept.
  driver.submit({.prompt_tokens = 100, .answer_tokens = 1});
  driver.step();
  EXPECT_GE(tokens_of(driver.last, true), 4);
  driver.drain();
}

TEST(FairScheduler, DropsDraftsBeforeItPreempts) {
  CountingLedger ledger(2, 16);
  StepDriver driver({}, ledger);
  const RequestId id = driver.submit({.prompt_tokens = 15, .answer_tokens = 16});
  driver.step();
  driver.want_drafts(id, 30);
  driver.accepted = [](const StepPiece&) { return 0; };
  driver.drain();
  EXPECT_EQ(driver.run(id).ending, Ending::kFinished);
}

TEST(FairScheduler, AdmitsNoMoreThanMaxRunning) {
  CountingLedger ledger(1000, 16);
  StepDriver driver({.max_running = 3}, ledger);
  for (int i = 0; i < 10; ++i)
    driver.submit({});
  driver.step();
  EXPECT_EQ(driver.last.admitted.size(), 3u);
  driver.drain();
}

TEST(FairScheduler, AdmitsByMemory) {
  struct Row {
    std::int64_t total_blocks;
    std::int64_t headroom_tokens;
    double watermark;
    std::size_t admitted;  // of five requests of 64 tokens, 4 blocks each
  };
  const Row rows[] = {
      {20, 0, 0, 5},  {19, 0, 0, 4},  {20, 0, 0.05, 4},  // a twentieth is one block
      {20, 16, 0, 4},                                    // each wants one block more to grow
      {25, 16, 0, 5}, {8, 0, 0.5, 1}, {4, 64, 0.5, 1},   // what is alone needs only itself
  };
  for (const Row& row : rows) {
    CountingLedger ledger(row.total_blocks, 16);
    StepDriver driver({.watermark = row.watermark, .headroom_tokens = row.headroom_tokens}, ledger);
    for (int i = 0; i < 5; ++i)
      driver.submit({.prompt_tokens = 64, .answer_tokens = 1000, .tells_max_tokens = false});
    driver.step();
    EXPECT_EQ(driver.last.admitted.size(), row.admitted) << row.total_blocks << " " << row.watermark;
  }
}

TEST(FairScheduler, OpensABlockedHeadOnce) {
  CountingLedger ledger(20, 16);
  StepDriver driver({.watermark = 0}, ledger);
  driver.submit({.prompt_tokens = 160, .answer_tokens = 100});
  driver.step();
  ledger.prefixes[2] = 32;
  const RequestId blocked = driver.submit({.prompt_tokens = 240, .answer_tokens = 1});
  for (int i = 0; i < 50; ++i)
    driver.step();
  EXPECT_LE(ledger.num_opened, 2);
  driver.drain();
  EXPECT_EQ(driver.run(blocked).ending, Ending::kFinished);
}

TEST(FairScheduler, LargeHeadIsNotOvertaken) {
  CountingLedger ledger(20, 16);
  StepDriver driver({}, ledger);
  driver.submit({.prompt_tokens = 160, .answer_tokens = 30});
  driver.step();
  const RequestId large = driver.submit({.prompt_tokens = 300, .answer_tokens = 1});
  const RequestId small = driver.submit({.prompt_tokens = 10, .answer_tokens = 1});
  driver.drain();
  EXPECT_LT(driver.run(large).admitted_step, driver.run(small).admitted_step);
}

TEST(FairScheduler, RefusesWithTheLimitThatIsReached) {
  CountingLedger ledger(100, 16);
  StepDriver driver({.max_queued_requests = 4, .max_queued_per_caller = 2, .max_queued_prompt_tokens = 1000}, ledger);
  const auto refusal = [&](const Wish& wish) {
    EXPECT_EQ(driver.submit(wish), 0u);
    return driver.last_status;
  };
  EXPECT_EQ(refusal({.prompt_tokens = 1001}).code(), StatusCode::kResourceExhausted);
  EXPECT_NE(driver.last_status.message().find("max_queued_prompt_tokens 1000"), std::string::npos);
  driver.submit({.caller_key = "a"});
  driver.submit({.caller_key = "a"});
  EXPECT_NE(refusal({.caller_key = "a"}).message().find("max_queued_per_caller"), std::string::npos);
  driver.submit({.caller_key = "b"});
  driver.submit({.caller_key = "b"});
  EXPECT_NE(refusal({.caller_key = "c"}).message().find("max_queued_requests"), std::string::npos);
  EXPECT_EQ(driver.last_status.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(driver.scheduler().stats().num_refused, 3u);
  EXPECT_EQ(refusal({.prompt_tokens = 0}).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(refusal({.priority = 101}).code(), StatusCode::kInvalidArgument);
  driver.drain();
  // The queue is empty again.
  EXPECT_NE(driver.submit({.caller_key = "a", .prompt_tokens = 1000}), 0u);
}

TEST(FairScheduler, HigherPriorityGoesFirst) {
  CountingLedger ledger(1000, 16);
  StepDriver driver({.max_running = 1}, ledger);
  const RequestId low = driver.submit({.priority = -1});
  const RequestId middle = driver.submit({});
  const RequestId high = driver.submit({.priority = 5});
  driver.drain();
  EXPECT_LT(driver.run(high).end_step, driver.run(middle).end_step);
  EXPECT_LT(driver.run(middle).end_step, driver.run(low).end_step);
}

TEST(FairScheduler, LowPriorityIsServedUnderAStreamOfHigh) {
  for (const std::string caller : {"a", "b"}) {
    CountingLedger ledger(1000, 16);
    StepDriver driver({.max_running = 1, .aging_ms = 200}, ledger);
    const RequestId low = driver.submit({.caller_key = "a"});
    while (driver.num_steps < 1000 && driver.run(low).ending == Ending::kNone) {
      while (driver.scheduler().stats().waiting < 3)
        driver.submit({.caller_key = caller, .priority = 2});
      driver.step();
    }
    // Two levels take 400 ms, a step of one decode 5.2 ms.
    EXPECT_EQ(driver.run(low).ending, Ending::kFinished);
    EXPECT_LT(driver.run(low).end_step, 120);
  }
}

TEST(FairScheduler, HighPriorityTakesTheSlotAndTheMemoryOfLow) {
  for (const bool slots : {true, false}) {
    CountingLedger ledger(slots ? 1000 : 24, 16);
    StepDriver driver({.max_running = slots ? 2 : 64}, ledger);
    const RequestId first = driver.submit({.caller_key = "a", .prompt_tokens = 120, .answer_tokens = 40});
    const RequestId second = driver.submit({.caller_key = "a", .prompt_tokens = 120, .answer_tokens = 40});
    driver.step();
    driver.step();
    const RequestId high = driver.submit({.caller_key = "b", .prompt_tokens = 100, .answer_tokens = 3, .priority = 1});
    driver.step();
    EXPECT_EQ(driver.last.preempted, std::vector<RequestId>{second});
    EXPECT_EQ(driver.last.admitted, std::vector<RequestId>{high});
    EXPECT_NE(driver.piece(high), nullptr);
    EXPECT_NE(driver.piece(first), nullptr);
    driver.drain();
    EXPECT_EQ(driver.run(second).ending, Ending::kFinished);
  }
}

TEST(FairScheduler, LowPriorityFinishesUnderAStreamThatDisplacesIt) {
  // A long prompt, and before its end always another of higher priority that takes its only slot, or its prefill.
  for (const std::int64_t slots : {1, 4}) {
    CountingLedger ledger(1000, 16);
    StepDriver driver({.max_step_tokens = 64, .max_running = slots, .aging_ms = 500}, ledger);
    const RequestId low = driver.submit({.caller_key = "low", .prompt_tokens = 600, .answer_tokens = 20});
    for (int i = 0; i < 3000 && driver.run(low).ending == Ending::kNone; ++i) {
      if (i % 3 == 0 && driver.scheduler().stats().waiting < 3)
        driver.submit({.caller_key = "high", .prompt_tokens = 150, .answer_tokens = 1, .priority = 3});
      driver.step();
    }
    EXPECT_EQ(driver.run(low).ending, Ending::kFinished) << slots;
    EXPECT_LE(driver.run(low).preemptions, 3) << slots;
  }
}

TEST(FairScheduler, PrefillAloneLeavesTimeForCancellations) {
  CountingLedger ledger(10000, 16);
  StepDriver driver({.prefill_latency_ms = 60}, ledger);
  driver.submit({.prompt_tokens = 40000, .answer_tokens = 1});
  driver.step();
  EXPECT_EQ(tokens_of(driver.last, true), 512);  // nothing is known yet
  for (int i = 0; i < 15; ++i)
    driver.step();
  // 5 ms and 0.1 ms a token.
  EXPECT_NEAR(static_cast<double>(tokens_of(driver.last, true)), 550, 20);
}

TEST(FairScheduler, FirstPromptBesideDecodesIsTakenWithCare) {
  CountingLedger ledger(10000, 16);
  StepDriver driver({}, ledger);
  driver.submit({.prompt_tokens = 10, .answer_tokens = 200});
  for (int i = 0; i < 50; ++i)
    driver.step();
  driver.submit({.prompt_tokens = 4000, .answer_tokens = 1});
  driver.step();
  EXPECT_EQ(tokens_of(driver.last, true), 256);
}

TEST(FairScheduler, DoesNotPreemptInVainForPriority) {
  CountingLedger ledger(20, 16);
  StepDriver driver({.watermark = 0, .headroom_tokens = 0}, ledger);
  driver.submit({.prompt_tokens = 160, .answer_tokens = 20, .priority = 1});
  driver.submit({.prompt_tokens = 64, .answer_tokens = 20});
  driver.step();
  // 20 blocks less the 11 of its own level are not enough.
  driver.submit({.prompt_tokens = 200, .answer_tokens = 1, .priority = 1});
  driver.step();
  EXPECT_TRUE(driver.last.preempted.empty());
  driver.drain();
}

TEST(FairScheduler, OneRequestIsNotStarvedByAHundred) {
  CountingLedger ledger(10000, 16);
  StepDriver driver({.max_running = 4}, ledger);
  for (int i = 0; i < 100; ++i)
    driver.submit({.caller_key = "many", .prompt_tokens = 50, .answer_tokens = 10});
  for (int i = 0; i < 5; ++i)
    driver.step();
  const RequestId one = driver.submit({.caller_key = "one", .prompt_tokens = 50, .answer_tokens = 10});
  driver.drain();
  // The next free slot is its own: those that run need at most 10 steps.
  EXPECT_LT(driver.run(one).admitted_step, 5 + 11);
  EXPECT_LT(driver.run(one).end_step, 5 + 11 + 11);
}

TEST(FairScheduler, PrefillIsSharedBetweenCallers) {
  CountingLedger ledger(100000, 16);
  StepDriver driver({.max_step_tokens = 512, .fairness_quantum = 1024}, ledger);
  const RequestId book = driver.submit({.caller_key = "book", .prompt_tokens = 100000, .answer_tokens = 1});
  for (int i = 0; i < 10; ++i)
    driver.step();
  const RequestId note = driver.submit({.caller_key = "note", .prompt_tokens = 400, .answer_tokens = 1});
  // The book goes on for a quantum at most.
  for (int i = 0; i < 3; ++i)
    driver.step();
  EXPECT_EQ(driver.run(note).ending, Ending::kFinished);
  // Two books advance together, within a quantum and a step each.
  driver.submit({.caller_key = "other book", .prompt_tokens = 100000, .answer_tokens = 1});
  const std::int64_t computed = driver.scheduler().caller_stats("book").prompt_tokens;
  for (int i = 0; i < 600 && driver.run(book).ending == Ending::kNone; ++i)
    driver.step();
  EXPECT_EQ(driver.run(book).ending, Ending::kFinished);
  EXPECT_NEAR(static_cast<double>(driver.scheduler().caller_stats("other book").prompt_tokens),
              static_cast<double>(100000 - computed), 2 * (1024 + 512));
}

TEST(FairScheduler, WeightsDivideTheService) {
  CountingLedger ledger(10000, 16);
  StepDriver driver({.max_running = 2, .caller_weights = {{"gold", 3}}}, ledger);
  for (int i = 0; i < 2000; ++i) {
    for (const char* caller : {"gold", "plain"})
      while (driver.scheduler().caller_stats(caller).waiting < 2)
        driver.submit({.caller_key = caller, .prompt_tokens = 20, .answer_tokens = 10});
    driver.step();
  }
  const auto gold = static_cast<double>(driver.scheduler().caller_stats("gold").generated_tokens);
  const auto plain = static_cast<double>(driver.scheduler().caller_stats("plain").generated_tokens);
  EXPECT_NEAR(gold / plain, 3, 0.1);
}

TEST(FairScheduler, IdlingEarnsNoCredit) {
  CountingLedger ledger(10000, 16);
  StepDriver driver({.max_running = 2}, ledger);
  driver.submit({.caller_key = "idle"});
  driver.drain();
  for (int i = 0; i < 500; ++i) {
    while (driver.scheduler().caller_stats("busy").waiting < 2)
      driver.submit({.caller_key = "busy"});
    driver.step();
  }
  const CallerStats busy = driver.scheduler().caller_stats("busy");
  for (int i = 0; i < 20; ++i)
    driver.submit({.caller_key = "idle"});
  // From here on both get the same, within a request or two (10 + 2 * 5 each).
  EXPECT_NEAR(driver.scheduler().caller_stats("idle").service, busy.service, 3 * 20);
}

TEST(FairScheduler, PreemptsTheLatestOfTheMostServedCaller) {
  struct Row {
    const char* what;
    Wish first, second, third;
    int victim;
  };
  const Row rows[] = {
      {"lowest priority",
       {.caller_key = "a", .prompt_tokens = 16, .answer_tokens = 60, .priority = 0},
       {.caller_key = "b", .prompt_tokens = 16, .answer_tokens = 60, .priority = 1},
       {.caller_key = "c", .prompt_tokens = 16, .answer_tokens = 60, .priority = 1},
       1},
      {"most served caller",
       {.caller_key = "a", .prompt_tokens = 16, .answer_tokens = 60},
       {.caller_key = "b", .prompt_tokens = 32, .answer_tokens = 60},
       {.caller_key = "c", .prompt_tokens = 16, .answer_tokens = 60},
       2},
      {"latest arrival",
       {.caller_key = "a", .prompt_tokens = 16, .answer_tokens = 60},
       {.caller_key = "a", .prompt_tokens = 16, .answer_tokens = 60},
       {.caller_key = "a", .prompt_tokens = 16, .answer_tokens = 60},
       3},
  };
  for (const Row& row : rows) {
    CountingLedger ledger(9, 16);
    StepDriver driver({.watermark = 0, .headroom_tokens = 0}, ledger);
    for (const Wish& wish : {row.first, row.second, row.third}) {
      driver.submit(wish);
      driver.now += milliseconds(1);
    }
    while (driver.last.preempted.empty() && driver.num_steps < 100)
      driver.step();
    ASSERT_EQ(driver.last.preempted.size(), 1u) << row.what;
    EXPECT_EQ(driver.last.preempted[0], static_cast<RequestId>(row.victim)) << row.what;
    driver.drain();
    for (const auto& [id, run] : driver.runs())
      EXPECT_EQ(run.ending, Ending::kFinished);
  }
}

TEST(FairScheduler, SwapsLongContextsWhereThatIsCheaper) {
  struct Row {
    std::int64_t host_blocks;
    double bytes_per_ms;
    bool swaps;
  };
  // 40 blocks of 1000 bytes twice against 600 tokens at 0.1 ms.
  for (const Row& row : {Row{100, 4e6, true}, Row{10, 4e6, false}, Row{100, 100, false}}) {
    CountingLedger ledger(80, 16);
    ledger.host_blocks = row.host_blocks;
    StepDriver driver({.watermark = 0, .headroom_tokens = 0, .swap_bytes_per_ms = row.bytes_per_ms}, ledger);
    driver.submit({.prompt_tokens = 600, .answer_tokens = 100});
    driver.submit({.prompt_tokens = 600, .answer_tokens = 100});
    while (driver.last.preempted.empty() && driver.last.swapped_out.empty() && driver.num_steps < 200)
      driver.step();
    EXPECT_EQ(driver.last.swapped_out.size(), row.swaps ? 1u : 0u) << row.host_blocks << " " << row.bytes_per_ms;
    driver.drain();
    for (const auto& [id, run] : driver.runs())
      EXPECT_EQ(run.ending, Ending::kFinished);
    EXPECT_EQ(ledger.host_blocks, row.host_blocks);
    // Nothing is computed twice after a swap.
    EXPECT_EQ(driver.scheduler().caller_stats("").prompt_tokens, 1200);
  }
}

TEST(FairScheduler, DraftsLeaveARowForWhatWasSwappedOut) {
  CountingLedger ledger(80, 16);
  ledger.host_blocks = 100;
  StepDriver driver({.max_step_tokens = 35, .max_running = 3}, ledger);
  driver.accepted = [](const StepPiece&) { return 0; };
  const RequestId drafting = driver.submit({.prompt_tokens = 300, .answer_tokens = 300});
  driver.want_drafts(drafting, 100);
  const RequestId swapped = driver.submit({.prompt_tokens = 600, .answer_tokens = 20});
  while (driver.run(swapped).generated() == 0 && driver.num_steps < 100)
    driver.step();
  // Takes the memory of the other for a while.
  driver.submit({.prompt_tokens = 500, .answer_tokens = 2, .priority = 1});
  driver.step();
  ASSERT_EQ(driver.last.swapped_out, std::vector<RequestId>{swapped});
  driver.drain();
  EXPECT_LT(driver.run(swapped).end_step, driver.run(drafting).end_step);
}

TEST(FairScheduler, RecomputingIsNotChargedAgain) {
  CountingLedger ledger(9, 16);
  StepDriver driver({.watermark = 0, .headroom_tokens = 0}, ledger);
  driver.submit({.caller_key = "a", .prompt_tokens = 16, .answer_tokens = 80});
  driver.submit({.caller_key = "b", .prompt_tokens = 16, .answer_tokens = 80});
  driver.drain();
  EXPECT_GT(driver.scheduler().stats().num_preempted, 0u);
  for (const char* caller : {"a", "b"})
    EXPECT_EQ(driver.scheduler().caller_stats(caller).service, 16 + 2 * 80);
}

TEST(FairScheduler, WhatCannotFitFails) {
  CountingLedger ledger(10, 16);
  StepDriver driver({}, ledger);
  const RequestId large = driver.submit({.prompt_tokens = 161, .answer_tokens = 1});
  const RequestId grows = driver.submit({.prompt_tokens = 150, .answer_tokens = 100});
  const RequestId fits = driver.submit({.prompt_tokens = 100, .answer_tokens = 5});
  driver.drain();
  EXPECT_EQ(driver.run(large).ending, Ending::kFailed);
  EXPECT_EQ(driver.run(large).failure.message(),
            "the request is too large: 161 tokens do not fit a KV cache of 10 blocks");
  EXPECT_EQ(driver.run(grows).ending, Ending::kFailed);
  EXPECT_EQ(driver.run(grows).generated(), 11);
  EXPECT_EQ(driver.run(fits).ending, Ending::kFinished);
  EXPECT_EQ(driver.scheduler().stats().num_failed, 2u);
}

TEST(FairScheduler, CancelsInEveryPhase) {
  CountingLedger ledger(100, 16);
  StepDriver driver({.max_step_tokens = 64, .max_running = 2}, ledger);
  const RequestId decoding = driver.submit({.caller_key = "a", .prompt_tokens = 16, .answer_tokens = 100});
  driver.step();
  const RequestId prefilling = driver.submit({.caller_key = "b", .prompt_tokens = 600, .answer_tokens = 100});
  const RequestId waiting = driver.submit({.caller_key = "c", .prompt_tokens = 600});
  driver.step();
  driver.step();
  for (const RequestId id : {waiting, prefilling, decoding}) {
    driver.cancel(id);
    driver.step();
    EXPECT_EQ(driver.piece(id), nullptr);
  }
  EXPECT_EQ(driver.num_live(), 0);
  EXPECT_EQ(ledger.free_blocks(), 100);
  EXPECT_EQ(driver.scheduler().stats().num_cancelled, 3u);
  // What was not computed is given back.
  const CallerStats b = driver.scheduler().caller_stats("b");
  EXPECT_LT(b.prompt_tokens, 600);
  EXPECT_EQ(driver.scheduler().caller_stats("c").prompt_tokens, 0);
}

TEST(FairScheduler, ACancelBetweenPlanAndReportIsHeard) {
  CountingLedger ledger(100, 16);
  auto scheduler = FairScheduler::create({}).value();
  ASSERT_TRUE(scheduler->submit({.id = 7, .caller_key = "", .prompt_tokens = 10, .arrival = {}, .deadline = {}}).ok());
  ASSERT_EQ(scheduler->plan({}, ledger).pieces.size(), 1u);
  scheduler->cancel(7);
  ledger.release(7);
  scheduler->report({milliseconds(1), {{.id = 7, .tokens_kept = 10, .tokens_generated = 1}}});
  EXPECT_TRUE(scheduler->plan({}, ledger).empty());
  EXPECT_EQ(scheduler->stats().running, 0);
}

TEST(FairScheduler, DeadlinesEndWaitingAndRunning) {
  CountingLedger ledger(100, 16);
  StepDriver driver({.max_running = 1}, ledger);
  const RequestId running = driver.submit({.answer_tokens = 1000, .deadline = milliseconds(60)});
  const RequestId waiting = driver.submit({.answer_tokens = 5, .deadline = milliseconds(40)});
  const RequestId in_time = driver.submit({.answer_tokens = 5, .deadline = milliseconds(500)});
  driver.drain();
  EXPECT_EQ(driver.run(running).ending, Ending::kExpired);
  EXPECT_GT(driver.run(running).generated(), 5);
  EXPECT_EQ(driver.run(waiting).ending, Ending::kExpired);
  EXPECT_EQ(driver.run(waiting).admitted_step, -1);
  EXPECT_EQ(driver.run(in_time).ending, Ending::kFinished);
  EXPECT_EQ(ledger.free_blocks(), 100);
}

TEST(FairScheduler, ForcedTokensAreDecodedInOneStep) {
  CountingLedger ledger(100, 16);
  auto scheduler = FairScheduler::create({}).value();
  ASSERT_TRUE(scheduler->submit({.id = 1, .caller_key = "", .prompt_tokens = 10, .arrival = {}, .deadline = {}}).ok());
  scheduler->plan({}, ledger);
  ledger.run(1, 10, 10);
  scheduler->report({milliseconds(1), {{.id = 1, .tokens_kept = 10, .tokens_generated = 6}}});
  const StepPlan& plan = scheduler->plan({}, ledger);
  ASSERT_EQ(plan.pieces.size(), 1u);
  EXPECT_EQ(plan.pieces[0].num_tokens, 6);
  EXPECT_FALSE(plan.pieces[0].prefill);
  EXPECT_TRUE(plan.pieces[0].samples);
}

TEST(FairScheduler, AStepThatDidNotRunIsPlannedAgain) {
  CountingLedger ledger(100, 16);
  auto scheduler = FairScheduler::create({}).value();
  ASSERT_TRUE(scheduler->submit({.id = 1, .caller_key = "", .prompt_tokens = 10, .arrival = {}, .deadline = {}}).ok());
  scheduler->plan({}, ledger);
  scheduler->report({});
  EXPECT_EQ(scheduler->plan({}, ledger).pieces.size(), 1u);
}

TEST(FairScheduler, WaitsWhileNoSequenceCanBeOpened) {
  CountingLedger ledger(100, 16);
  ledger.max_sequences = 1;
  StepDriver driver({}, ledger);
  driver.submit({});
  driver.submit({});
  driver.step();
  EXPECT_EQ(driver.last.admitted.size(), 1u);
  driver.drain();
}

TEST(SchedulerOptions, NamesTheFieldOutOfRange) {
  struct Row {
    SchedulerOptions options;
    const char* names;
  };
  const Row rows[] = {
      {{.max_step_tokens = 0}, "max_step_tokens"},
      {{.max_step_tokens = 64, .max_running = 64}, "less than max_running 64 plus min_prefill_tokens 32"},
      {{.max_running = 0}, "max_running"},
      {{.target_latency_ms = std::nan("")}, "target_latency_ms"},
      {{.watermark = 0.9}, "watermark"},
      {{.aging_ms = 0}, "aging_ms"},
      {{.caller_weights = {{"x", 0}}}, "caller 'x'"},
  };
  EXPECT_TRUE(SchedulerOptions().validate().ok());
  for (const Row& row : rows) {
    const auto scheduler = FairScheduler::create(row.options);
    ASSERT_FALSE(scheduler.ok()) << row.names;
    EXPECT_EQ(scheduler.status().code(), StatusCode::kInvalidArgument);
    EXPECT_NE(scheduler.status().message().find(row.names), std::string::npos) << scheduler.status().message();
  }
}

}  // namespace
}  // namespace mlxr
