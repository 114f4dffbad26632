// Memory: admission by it, and who goes when it runs out.

#include <gtest/gtest.h>

#include "daemon/scheduler/fair_scheduler.h"
#include "daemon/scheduler/scheduler_test_engine.h"

namespace mlxr {
namespace {

using std::chrono::milliseconds;
using Wish = StepDriver::Wish;

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

}  // namespace
}  // namespace mlxr
