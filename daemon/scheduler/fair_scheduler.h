#pragma once
// FairScheduler: continuous batching at token boundaries.
//
// A step first takes every decode, then drafts, then prefill chunks, up to max_step_tokens; chunks are sized by a
// learned cost model so that a step with decodes keeps target_latency_ms and one without prefill_latency_ms, but
// prefill always gets min_prefill_tokens.
//
// The queue is served by level (priority, raised by waiting up to the highest priority that waits), within a level by
// the caller with the least service (caller_account.h), within a caller by arrival. The head of the queue is never
// overtaken for want of memory, so that large requests get their turn. A request of strictly higher priority may take
// the place of running ones of lower level, from each at most as often as they lie levels apart.
//
// When memory runs out, the request to go is chosen by preempted_before() (preemption.h); prefill never takes memory
// from its own level. A request that finds no room although nothing else runs has failed.

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/runtime/engine/scheduler.h"
#include "daemon/scheduler/caller_account.h"
#include "daemon/scheduler/request_state.h"
#include "daemon/scheduler/scheduler_options.h"
#include "daemon/scheduler/step_cost_model.h"

namespace mlxr {

class FairScheduler final : public Scheduler {
 public:
  static Result<std::unique_ptr<FairScheduler>> create(SchedulerOptions options);

  FairScheduler(const FairScheduler&) = delete;
  FairScheduler& operator=(const FairScheduler&) = delete;

  Status submit(const ScheduledRequest& request) override;
  void finish(RequestId id) override;
  void cancel(RequestId id) override;
  void want_drafts(RequestId id, std::int64_t tokens) override;
  const StepPlan& plan(TimePoint now, KvLedger& ledger) override;
  void report(const StepReport& report) override;
  const SchedulerStats& stats() const override { return stats_; }
  CallerStats caller_stats(std::string_view caller_key) const override;

  const StepCostModel& costs() const { return costs_; }

 private:
  explicit FairScheduler(SchedulerOptions options) : options_(std::move(options)), accounts_(options_) {}

  enum class Unblocked : std::uint8_t { kNothing, kPreempted, kFailed };

  RequestState* find(RequestId id);
  void enqueue(RequestState& request);
  double prefill_floor() const;
  void dequeue(RequestState& request);
  void start_running(RequestState& request, RequestPhase phase);
  void stop_running(RequestState& request);
  // Forgets the request, wherever it is.
  void remove(RequestState& request);
  void drop_piece(RequestState& request);
  void expire(TimePoint now, KvLedger& ledger);

  // admission.cc
  void admit(TimePoint now, KvLedger& ledger);
  int aged_level(std::int64_t wait_key, int level, int highest, TimePoint now) const;
  void age_prefill(TimePoint now);
  int waiting_level(std::int64_t wait_key, int priority, TimePoint now) const;
  RequestState* queue_head(TimePoint now) const;
  bool prefill_wants(const RequestState& head, int level) const;
  std::int64_t growth_tokens(const RequestState& request) const;
  std::int64_t promised_blocks(const RequestState& request, const KvLedger& ledger) const;
  std::int64_t spare_blocks(const KvLedger& ledger) const;
  std::int64_t possible_blocks(const RequestState& head, const KvLedger& ledger) const;
  bool make_slot(const RequestState& head, KvLedger& ledger);
  bool make_room(const RequestState& head, std::int64_t blocks, KvLedger& ledger);
  bool open_head(RequestState& head, int level, KvLedger& ledger);
  bool swap_in_head(RequestState& head, int level, KvLedger& ledger);

  // memory.cc
  bool may_displace(const RequestState& request, int level) const;
  RequestState* victim(int level) const;
  void preempt(RequestState& request, KvLedger& ledger);
  void fail_too_large(RequestState& request, std::int64_t tokens, KvLedger& ledger);
  bool reserve_decode(RequestState& request, std::int64_t tokens, KvLedger& ledger);
  std::int64_t reserve_prefill(RequestState& request, std::int64_t tokens, KvLedger& ledger);
  // Makes room where every running request waits for some.
  Unblocked unblock(KvLedger& ledger);

  // step.cc
  void plan_decodes(KvLedger& ledger);
  void plan_drafts(KvLedger& ledger);
  void plan_prefill(KvLedger& ledger);
  StepWork planned_work();
  void add_piece(RequestState& request, std::int64_t tokens, bool prefill);

  SchedulerOptions options_;
  CallerAccounts accounts_;
  StepCostModel costs_;
  std::unordered_map<RequestId, std::unique_ptr<RequestState>> requests_;
  std::vector<RequestState*> running_;  // in no order
  std::set<std::pair<TimePoint, RequestId>> deadlines_;
  std::map<int, std::int64_t> waiting_priorities_;  // priority -> waiting requests
  std::uint64_t next_order_ = 0;
  std::uint64_t step_ = 0;

  // Of the step being planned or run.
  StepPlan plan_;
  StepWork work_;
  std::int64_t step_tokens_ = 0;
  bool awaits_report_ = false;
  std::vector<RequestState*> order_;  // scratch

  SchedulerStats stats_;
};

}  // namespace mlxr
