#include "daemon/scheduler/scheduler_options.h"

#include <cmath>

#include <fmt/core.h>

namespace mlxr {
namespace {

constexpr std::int64_t kMaxCount = std::int64_t{1} << 40;
constexpr double kMaxValue = 1e12;

struct Row {
  const char* name;
  double value;
  double low;
  double high;
};

}  // namespace

Status SchedulerOptions::validate() const {
  const auto as_double = [](std::int64_t value) { return static_cast<double>(value); };
  constexpr double kCount = static_cast<double>(kMaxCount);
  const Row rows[] = {
      {"max_step_tokens", as_double(max_step_tokens), 1, kCount},
      {"max_running", as_double(max_running), 1, kCount},
      {"target_latency_ms", target_latency_ms, 1e-3, kMaxValue},
      {"prefill_latency_ms", prefill_latency_ms, 1e-3, kMaxValue},
      {"min_prefill_tokens", as_double(min_prefill_tokens), 1, kCount},
      {"max_queued_requests", as_double(max_queued_requests), 1, kCount},
      {"max_queued_per_caller", as_double(max_queued_per_caller), 1, kCount},
      {"max_queued_prompt_tokens", as_double(max_queued_prompt_tokens), 1, kCount},
      {"watermark", watermark, 0, 0.5},
      {"headroom_tokens", as_double(headroom_tokens), 0, kCount},
      {"aging_ms", aging_ms, 1, 1e9},
      {"prompt_token_cost", prompt_token_cost, 0, 1e6},
      {"generated_token_cost", generated_token_cost, 1e-6, 1e6},
      {"fairness_quantum", fairness_quantum, 1, kMaxValue},
      {"swap_bytes_per_ms", swap_bytes_per_ms, 1, 1e15},
      {"min_swap_tokens", as_double(min_swap_tokens), 0, kCount},
  };
  for (const Row& row : rows) {
    if (!(row.value >= row.low && row.value <= row.high)) {
      return invalid_argument(
          fmt::format("scheduler option {} is {:g}, not in {:g} to {:g}", row.name, row.value, row.low, row.high));
    }
  }
  for (const auto& [key, weight] : caller_weights) {
    if (!(weight >= 1e-3 && weight <= 1e3))
      return invalid_argument(fmt::format("weight of caller '{}' is {:g}, not in 0.001 to 1000", key, weight));
  }
  // Every running request can decode in one step and prefill still goes on.
  if (max_step_tokens < max_running + min_prefill_tokens) {
    return invalid_argument(
        fmt::format("scheduler option max_step_tokens is {}, less than max_running {} plus min_prefill_tokens {}",
                    max_step_tokens, max_running, min_prefill_tokens));
  }
  return {};
}

}  // namespace mlxr
