#include "daemon/scheduler/preemption.h"

namespace mlxr {

bool preempted_before(const RequestState& a, const RequestState& b) {
  if (a.level != b.level) return a.level < b.level;
  const bool a_spared = a.num_preemptions >= kSparedAfter;
  const bool b_spared = b.num_preemptions >= kSparedAfter;
  if (a_spared != b_spared) return b_spared;
  if (a.caller->service != b.caller->service) return a.caller->service > b.caller->service;
  if (a.request.arrival != b.request.arrival) return a.request.arrival > b.request.arrival;
  return a.order > b.order;
}

bool swapping_pays(const SchedulerOptions& options, const StepCostModel& costs, std::int64_t context,
                   std::uint64_t bytes) {
  if (context < options.min_swap_tokens) return false;
  if (!costs.ready_for_prefill()) return true;
  return 2 * static_cast<double>(bytes) / options.swap_bytes_per_ms < costs.prefill_ms(context, 0);
}

}  // namespace mlxr
