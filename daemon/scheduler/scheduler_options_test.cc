#include <cmath>

#include <gtest/gtest.h>

#include "daemon/scheduler/fair_scheduler.h"

namespace mlxr {
namespace {

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
