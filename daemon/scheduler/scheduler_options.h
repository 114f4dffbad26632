#pragma once
// What an operator may set of the fair scheduler.

#include <cstdint>
#include <map>
#include <string>

#include "core/base/status.h"

namespace mlxr {

struct SchedulerOptions {
  // A step.
  std::int64_t max_step_tokens = 2048;   // rows of one batch
  std::int64_t max_running = 64;         // requests with a sequence open
  double target_latency_ms = 50;         // a step that holds decodes should take no longer
  double prefill_latency_ms = 1000;      // one that holds none, so that arrivals and cancellations are seen
  std::int64_t min_prefill_tokens = 32;  // what prefill gets in every step, whatever the targets

  // The queue.
  std::int64_t max_queued_requests = 4096;
  std::int64_t max_queued_per_caller = 2048;
  std::int64_t max_queued_prompt_tokens = std::int64_t{1} << 24;

  // Memory kept free when a request is admitted: a share of all blocks, and room to grow for each that runs.
  double watermark = 0.01;
  std::int64_t headroom_tokens = 32;

  // A waiting request gains one level of priority in this time, up to the highest priority that waits.
  double aging_ms = 10'000;

  // Cost of a token for its caller; a caller with weight 2 gets twice the service of one with weight 1.
  double prompt_token_cost = 1;
  double generated_token_cost = 2;
  std::map<std::string, double, std::less<>> caller_weights{};  // 1 where nothing is said
  // Prefill goes on with one request until it is this much service ahead of another.
  double fairness_quantum = 512;

  // Preemption copies to host memory where that is cheaper than computing again.
  double swap_bytes_per_ms = 4e6;
  std::int64_t min_swap_tokens = 256;

  // kInvalidArgument names the first field out of range.
  Status validate() const;
};

}  // namespace mlxr
