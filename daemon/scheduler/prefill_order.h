#pragma once
// In which order running requests get the prefill tokens of a step.

#include "daemon/scheduler/caller_account.h"
#include "daemon/scheduler/request_state.h"
#include "daemon/scheduler/scheduler_options.h"

namespace mlxr {

// Service of the caller at which a request stands: where it was at its admission, and what was computed since.
double prefill_service(const SchedulerOptions& options, const RequestState& request);

// The same in steps of the fairness quantum. Requests on one step are not taken in turns, which would delay all of
// them.
double prefill_turn(const SchedulerOptions& options, const RequestState& request);

// Higher level, earlier turn, earlier arrival.
bool prefilled_before(const SchedulerOptions& options, const RequestState& a, const RequestState& b);

}  // namespace mlxr
