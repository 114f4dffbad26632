#include "daemon/scheduler/prefill_order.h"

#include <cmath>

namespace mlxr {

double prefill_service(const SchedulerOptions& options, const RequestState& request) {
  const double start = request.charged ? request.start_service : request.caller->service;
  const auto computed = static_cast<double>(request.context - request.covered);
  return start + options.prompt_token_cost * computed / request.caller->weight;
}

double prefill_turn(const SchedulerOptions& options, const RequestState& request) {
  return std::floor(prefill_service(options, request) / options.fairness_quantum);
}

bool prefilled_before(const SchedulerOptions& options, const RequestState& a, const RequestState& b) {
  if (a.level != b.level) return a.level > b.level;
  const double a_turn = prefill_turn(options, a);
  const double b_turn = prefill_turn(options, b);
  if (a_turn != b_turn) return a_turn < b_turn;
  if (a.request.arrival != b.request.arrival) return a.request.arrival < b.request.arrival;
  return a.order < b.order;
}

}  // namespace mlxr
