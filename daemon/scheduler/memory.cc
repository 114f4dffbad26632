// FairScheduler: what happens when KV memory runs out.

#include <algorithm>
#include <limits>

#include <fmt/core.h>

#include "daemon/scheduler/fair_scheduler.h"
#include "daemon/scheduler/preemption.h"

namespace mlxr {
namespace {

constexpr int kAnyLevel = std::numeric_limits<int>::max();

bool take_out(std::vector<RequestId>& ids, RequestId id) {
  const auto found = std::find(ids.begin(), ids.end(), id);
  if (found == ids.end()) return false;
  ids.erase(found);
  return true;
}

}  // namespace

// Every preemption raises a request by a level here, so that a stream of higher priority cannot displace it for ever.
bool FairScheduler::may_displace(const RequestState& request, int level) const {
  return request.swapped_in_step != step_ && request.level + request.num_preemptions < level;
}

// The running request to preempt among those that a level may displace. One that was swapped in for this step is none:
// its content is still on the way.
RequestState* FairScheduler::victim(int level) const {
  RequestState* worst = nullptr;
  for (RequestState* request : running_) {
    if (!may_displace(*request, level)) continue;
    if (worst == nullptr || preempted_before(*request, *worst)) worst = request;
  }
  return worst;
}

void FairScheduler::preempt(RequestState& request, KvLedger& ledger) {
  const RequestId id = request.request.id;
  drop_piece(request);
  stop_running(request);
  request.preempted_step = step_;
  if (take_out(plan_.admitted, id)) {
    // Admitted for this very step: nobody has heard of it yet.
    ledger.release(id);
    request.phase = RequestPhase::kWaiting;
    request.context = 0;
    enqueue(request);
    return;
  }
  ++stats_.num_preempted;
  ++request.num_preemptions;
  const std::optional<std::uint64_t> bytes = ledger.swap_bytes(id);
  if (bytes.has_value() && swapping_pays(options_, costs_, request.context, *bytes) && ledger.swap_out(id)) {
    request.phase_before_swap = request.phase;
    request.phase = RequestPhase::kSwapped;
    ++stats_.num_swapped_out;
    ++stats_.swapped;
    plan_.swapped_out.push_back(id);
  } else {
    ledger.release(id);
    request.phase = RequestPhase::kWaiting;
    request.context = 0;
    plan_.preempted.push_back(id);
  }
  enqueue(request);
}

void FairScheduler::fail_too_large(RequestState& request, std::int64_t tokens, KvLedger& ledger) {
  const RequestId id = request.request.id;
  drop_piece(request);
  take_out(plan_.admitted, id);
  if (request.phase != RequestPhase::kWaiting) ledger.release(id);
  plan_.failed.push_back(
      {id, resource_exhausted(fmt::format("the request is too large: {} tokens do not fit a KV cache of {} blocks",
                                          tokens, ledger.total_blocks()))});
  ++stats_.num_failed;
  remove(request);
}

bool FairScheduler::reserve_decode(RequestState& request, std::int64_t tokens, KvLedger& ledger) {
  while (!ledger.reserve(request.request.id, tokens)) {
    if (running_.size() == 1) {
      fail_too_large(request, request.context + tokens, ledger);
      return false;
    }
    RequestState* worst = victim(kAnyLevel);
    preempt(*worst, ledger);
    if (worst == &request) return false;
  }
  return true;
}

// Room for as many of `tokens` as there is; the number.
std::int64_t FairScheduler::reserve_prefill(RequestState& request, std::int64_t tokens, KvLedger& ledger) {
  while (tokens > 0 && !ledger.reserve(request.request.id, tokens)) {
    RequestState* worst = victim(request.level);
    if (worst != nullptr) {
      preempt(*worst, ledger);
    } else {
      tokens /= 2;
    }
  }
  return tokens;
}

FairScheduler::Unblocked FairScheduler::unblock(KvLedger& ledger) {
  RequestState* worst = victim(kAnyLevel);
  if (worst == nullptr) return Unblocked::kNothing;
  if (running_.size() > 1) {
    preempt(*worst, ledger);
    return Unblocked::kPreempted;
  }
  fail_too_large(*worst, worst->length, ledger);
  return Unblocked::kFailed;
}

}  // namespace mlxr
