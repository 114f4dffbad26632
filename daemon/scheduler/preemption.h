#pragma once
// Whom to preempt, and how.

#include <cstdint>

#include "daemon/scheduler/caller_account.h"
#include "daemon/scheduler/request_state.h"
#include "daemon/scheduler/scheduler_options.h"
#include "daemon/scheduler/step_cost_model.h"

namespace mlxr {

// A request that was preempted this often is spared while its level has others, so that two cannot take turns for ever.
inline constexpr int kSparedAfter = 3;

// Whether `a` is preempted before `b`: lower level, not spared, more service of its caller, later arrival.
bool preempted_before(const RequestState& a, const RequestState& b);

// Whether copying `bytes` out and in again takes less time than computing `context` tokens again. Without a learned
// model, contexts of `min_swap_tokens` on are copied.
bool swapping_pays(const SchedulerOptions& options, const StepCostModel& costs, std::int64_t context,
                   std::uint64_t bytes);

}  // namespace mlxr
