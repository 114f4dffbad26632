#include "daemon/scheduler/step_cost_model.h"

#include <cmath>
#include <limits>
#include <random>

#include <gtest/gtest.h>

namespace mlxr {
namespace {

StepWork work_of(std::int64_t decodes, std::int64_t prefill, std::int64_t context) {
  StepWork work;
  for (std::int64_t i = 0; i < decodes; ++i)
    work.add(1, context, false);
  if (prefill > 0) work.add(prefill, context, true);
  return work;
}

double machine_ms(const StepWork& work) {
  return 8 + 0.3 * static_cast<double>(work.decode_tokens) + 0.05 * static_cast<double>(work.prefill_tokens) +
         2e-6 * work.attended_tokens;
}

StepWork random_work(std::mt19937& random) {
  return work_of(random() % 32, random() % 3 == 0 ? 0 : random() % 1024, random() % 8192);
}

TEST(StepCostModel, LearnsAMachine) {
  StepCostModel model;
  std::mt19937 random(1);
  EXPECT_FALSE(model.ready());
  for (int i = 0; i < 300; ++i) {
    const StepWork work = random_work(random);
    const double noise = 1 + 0.05 * (static_cast<double>(random() % 2001) / 1000 - 1);
    model.observe(work, machine_ms(work) * noise);
  }
  ASSERT_TRUE(model.ready());
  // Noise of 5 % on a hundred steps that still count leaves less than 2 %.
  for (int i = 0; i < 50; ++i) {
    const StepWork work = random_work(random);
    EXPECT_NEAR(model.predict_ms(work), machine_ms(work), 0.03 * machine_ms(work));
  }
  for (const std::int64_t context : {0, 4000, 30000}) {
    const std::int64_t tokens = model.prefill_tokens_within(20, context, 100000);
    EXPECT_NEAR(model.prefill_ms(tokens, context), 20, 0.1);
    EXPECT_EQ(model.prefill_tokens_within(20, context, 10), 10);
  }
  EXPECT_EQ(model.prefill_tokens_within(-1, 0, 100), 0);
}

TEST(StepCostModel, FollowsAMachineThatSlowsDown) {
  StepCostModel model;
  std::mt19937 random(2);
  for (int i = 0; i < 800; ++i) {
    const StepWork work = random_work(random);
    model.observe(work, machine_ms(work) * (i < 200 ? 1 : 2));
  }
  const StepWork work = work_of(16, 512, 1000);
  EXPECT_NEAR(model.predict_ms(work), 2 * machine_ms(work), 0.1 * machine_ms(work));
}

TEST(StepCostModel, OneSlowStepChangesLittle) {
  StepCostModel model;
  std::mt19937 random(3);
  for (int i = 0; i < 200; ++i) {
    const StepWork work = random_work(random);
    model.observe(work, machine_ms(work));
  }
  const StepWork work = work_of(16, 512, 1000);
  const double before = model.predict_ms(work);
  model.observe(work, 100 * before);
  EXPECT_NEAR(model.predict_ms(work), before, 0.2 * before);
}

TEST(StepCostModel, KeepsWhatItKnowsWhileNothingNewIsSeen) {
  StepCostModel model;
  std::mt19937 random(4);
  for (int i = 0; i < 200; ++i) {
    const StepWork work = random_work(random);
    model.observe(work, machine_ms(work));
  }
  const double before = model.prefill_ms(512, 0);
  for (int i = 0; i < 5000; ++i) {
    const StepWork work = work_of(8, 0, 1000);
    model.observe(work, machine_ms(work));
  }
  EXPECT_NEAR(model.prefill_ms(512, 0), before, 0.2 * before);
}

TEST(StepCostModel, SenselessTimesAreIgnored) {
  StepCostModel model;
  for (const double ms : {-1.0, std::nan(""), std::numeric_limits<double>::infinity()})
    for (int i = 0; i < 20; ++i)
      model.observe(work_of(1, 0, 10), ms);
  EXPECT_FALSE(model.ready());
  for (int i = 0; i < 20; ++i)
    model.observe(work_of(1, 0, 10), 0);
  EXPECT_EQ(model.predict_ms(work_of(5, 5, 5)), 0);
  EXPECT_EQ(model.prefill_tokens_within(1, 0, 77), 77);
}

}  // namespace
}  // namespace mlxr
