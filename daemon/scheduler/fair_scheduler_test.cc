// Steps: chunks, decodes, drafts, latency, and how requests begin and end.

#include "daemon/scheduler/fair_scheduler.h"

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

}  // namespace
}  // namespace mlxr
