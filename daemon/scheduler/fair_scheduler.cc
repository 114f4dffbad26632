#include "daemon/scheduler/fair_scheduler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/core.h>

#include "core/base/check.h"
#include "daemon/scheduler/prefill_order.h"

namespace mlxr {
namespace {

constexpr std::int64_t kMaxTokens = std::int64_t{1} << 40;

Status check_counts(const ScheduledRequest& request) {
  if (request.prompt_tokens < 1 || request.prompt_tokens > kMaxTokens)
    return invalid_argument(fmt::format("a prompt of {} tokens cannot be scheduled", request.prompt_tokens));
  if (request.max_tokens < -1 || request.max_tokens > kMaxTokens)
    return invalid_argument(fmt::format("max_tokens is {}", request.max_tokens));
  if (request.priority < -kMaxPriority || request.priority > kMaxPriority) {
    return invalid_argument(
        fmt::format("priority is {}, not in {} to {}", request.priority, -kMaxPriority, kMaxPriority));
  }
  return {};
}

std::int64_t nanoseconds(TimePoint time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

}  // namespace

Result<std::unique_ptr<FairScheduler>> FairScheduler::create(SchedulerOptions options) {
  MLXR_RETURN_IF_ERROR(options.validate());
  return std::unique_ptr<FairScheduler>(new FairScheduler(std::move(options)));
}

Status FairScheduler::submit(const ScheduledRequest& request) {
  MLXR_RETURN_IF_ERROR(check_counts(request));
  const CallerAccount* known = accounts_.find(request.caller_key);
  const auto waiting_of_caller = known == nullptr ? 0 : static_cast<std::int64_t>(known->waiting.size());
  Status refusal;
  if (stats_.waiting >= options_.max_queued_requests) {
    refusal = resource_exhausted(
        fmt::format("the queue is full: {} requests wait, the limit max_queued_requests", stats_.waiting));
  } else if (waiting_of_caller >= options_.max_queued_per_caller) {
    refusal = resource_exhausted(
        fmt::format("{} requests of this caller wait, the limit max_queued_per_caller", waiting_of_caller));
  } else if (request.prompt_tokens > options_.max_queued_prompt_tokens - stats_.waiting_prompt_tokens) {
    refusal = resource_exhausted(
        fmt::format("the queue is full: {} prompt tokens wait, {} more pass the limit max_queued_prompt_tokens {}",
                    stats_.waiting_prompt_tokens, request.prompt_tokens, options_.max_queued_prompt_tokens));
  }
  if (!refusal.ok()) {
    ++stats_.num_refused;
    return refusal;
  }

  auto state = std::make_unique<RequestState>();
  state->request = request;
  state->caller = &accounts_.account(request.caller_key);
  state->order = next_order_++;
  state->wait_key = nanoseconds(request.arrival) -
                    static_cast<std::int64_t>(static_cast<double>(request.priority) * options_.aging_ms * 1e6);
  state->length = request.prompt_tokens;
  RequestState& added = *state;
  const bool is_new = requests_.emplace(request.id, std::move(state)).second;
  MLXR_CHECK(is_new, "request ids are not reused");
  if (request.deadline.has_value()) deadlines_.emplace(*request.deadline, request.id);
  ++stats_.num_submitted;
  accounts_.lift(*added.caller, prefill_floor());
  enqueue(added);
  return {};
}

RequestState* FairScheduler::find(RequestId id) {
  const auto found = requests_.find(id);
  return found == requests_.end() ? nullptr : found->second.get();
}

// The service that prefill has reached: of the running request that is furthest behind.
double FairScheduler::prefill_floor() const {
  double floor = std::numeric_limits<double>::infinity();
  for (const RequestState* request : running_)
    if (request->phase == RequestPhase::kPrefill) floor = std::min(floor, prefill_service(options_, *request));
  return std::isfinite(floor) ? floor : 0;
}

void FairScheduler::enqueue(RequestState& request) {
  accounts_.enqueue(request);
  ++waiting_priorities_[request.request.priority];
  ++stats_.waiting;
  stats_.waiting_prompt_tokens += request.request.prompt_tokens;
}

void FairScheduler::dequeue(RequestState& request) {
  accounts_.dequeue(request);
  const auto waiting = waiting_priorities_.find(request.request.priority);
  if (--waiting->second == 0) waiting_priorities_.erase(waiting);
  --stats_.waiting;
  stats_.waiting_prompt_tokens -= request.request.prompt_tokens;
  if (request.phase == RequestPhase::kSwapped) --stats_.swapped;
}

void FairScheduler::start_running(RequestState& request, RequestPhase phase) {
  request.phase = phase;
  request.blocks_wanted = 0;
  request.planned_tokens = 0;
  request.running_index = running_.size();
  running_.push_back(&request);
  ++request.caller->running;
  ++stats_.running;
}

void FairScheduler::stop_running(RequestState& request) {
  running_.back()->running_index = request.running_index;
  running_[request.running_index] = running_.back();
  running_.pop_back();
  --request.caller->running;
  --stats_.running;
}

void FairScheduler::remove(RequestState& request) {
  if (request.waits()) {
    dequeue(request);
  } else {
    stop_running(request);
  }
  accounts_.refund(request);
  if (request.request.deadline.has_value()) deadlines_.erase({*request.request.deadline, request.request.id});
  requests_.erase(request.request.id);
}

void FairScheduler::finish(RequestId id) {
  RequestState* request = find(id);
  if (request == nullptr) return;
  ++stats_.num_finished;
  remove(*request);
}

void FairScheduler::cancel(RequestId id) {
  RequestState* request = find(id);
  if (request == nullptr) return;
  ++stats_.num_cancelled;
  remove(*request);
}

void FairScheduler::want_drafts(RequestId id, std::int64_t tokens) {
  MLXR_CHECK(tokens >= 0, "drafts are counted");
  RequestState* request = find(id);
  if (request != nullptr) request->wanted_drafts = tokens;
}

void FairScheduler::expire(TimePoint now, KvLedger& ledger) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    RequestState* request = find(deadlines_.begin()->second);
    plan_.expired.push_back(request->request.id);
    if (request->phase != RequestPhase::kWaiting) ledger.release(request->request.id);
    ++stats_.num_expired;
    remove(*request);
  }
}

const StepPlan& FairScheduler::plan(TimePoint now, KvLedger& ledger) {
  MLXR_CHECK(!awaits_report_, "a plan is reported before the next one is made");
  plan_.clear();
  step_tokens_ = 0;
  ++step_;
  for (RequestState* request : running_)
    request->planned_tokens = 0;
  expire(now, ledger);
  age_prefill(now);
  plan_decodes(ledger);
  plan_drafts(ledger);
  bool admits = true;
  do {
    if (admits) admit(now, ledger);
    plan_prefill(ledger);
    if (!plan_.pieces.empty()) break;
    const Unblocked unblocked = unblock(ledger);
    if (unblocked == Unblocked::kNothing) break;
    // Whoever was preempted to make room must not take it again.
    admits = unblocked == Unblocked::kFailed;
  } while (true);
  work_ = planned_work();
  awaits_report_ = !plan_.pieces.empty();
  return plan_;
}

void FairScheduler::report(const StepReport& report) {
  awaits_report_ = false;
  bool ran = false;
  for (const PieceOutcome& outcome : report.outcomes) {
    RequestState* request = find(outcome.id);
    if (request == nullptr) continue;
    MLXR_CHECK(
        outcome.tokens_kept >= 0 && outcome.tokens_kept <= request->planned_tokens && outcome.tokens_generated >= 0,
        "an outcome is within its piece");
    ran = ran || outcome.tokens_kept > 0;
    request->planned_tokens = 0;
    request->context += outcome.tokens_kept;
    if (request->context >= request->length) request->phase = RequestPhase::kDecode;
    request->length += outcome.tokens_generated;
    MLXR_CHECK(request->context <= request->length, "only known tokens are in memory");
    accounts_.note_context(*request, std::min(request->context, request->request.prompt_tokens));
    accounts_.charge_generated(*request, outcome.tokens_generated);
  }
  if (ran) costs_.observe(work_, std::chrono::duration<double, std::milli>(report.duration).count());
}

CallerStats FairScheduler::caller_stats(std::string_view caller_key) const {
  const CallerAccount* account = accounts_.find(caller_key);
  if (account == nullptr) return {};
  return {.waiting = static_cast<std::int64_t>(account->waiting.size()),
          .running = account->running,
          .prompt_tokens = account->prompt_tokens,
          .generated_tokens = account->generated_tokens,
          .service = account->service};
}

}  // namespace mlxr
