// Fairness: priorities, callers and their weights.

#include <gtest/gtest.h>

#include "daemon/scheduler/fair_scheduler.h"
#include "daemon/scheduler/scheduler_test_engine.h"

namespace mlxr {
namespace {

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

}  // namespace
}  // namespace mlxr
