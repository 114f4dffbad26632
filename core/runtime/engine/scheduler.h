#pragma once
// Scheduler: which requests run in the next step and with how many tokens. Pure host code: it sees counts, never tokens
// or tensors, and has no clock. The engine owns one and makes all calls on its thread:
//
//   submit(...)                                 at any time between steps
//   plan = scheduler.plan(now, ledger)          end what expired or failed, then run plan.pieces as one batch
//   scheduler.report({duration, outcomes})      what became of each piece
//   scheduler.finish(id) / cancel(id)           the engine also releases the KV of the request
//
// A request has a length (tokens that are known: prompt and generated) and a context (tokens whose keys and values are
// in memory). From its admission until the context first reaches the length it is in prefill, then it decodes; every
// piece that reaches the length samples. A request ends exactly once: by finish(), by cancel(), in plan.expired or in
// plan.failed. The scheduler then knows it no more.
//
// n answers to one prompt are n requests: the engine submits the others when the first has its prompt in memory, so
// that they share its blocks.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/runtime/engine/kv_ledger.h"

namespace mlxr {

using TimePoint = std::chrono::steady_clock::time_point;

// Priorities that submit() takes reach from -kMaxPriority to kMaxPriority.
inline constexpr int kMaxPriority = 100;

struct ScheduledRequest {
  RequestId id = 0;
  std::string caller_key{};  // whom the work is counted for; requests without a key share ""
  int priority = 0;          // higher goes first
  std::int64_t prompt_tokens = 0;
  std::int64_t max_tokens = -1;  // to generate at most; -1 is unknown
  TimePoint arrival{};
  std::optional<TimePoint> deadline{};
};

// Tokens of one request in one step: `num_tokens` known ones from its context on, then `draft_tokens` proposed ones.
struct StepPiece {
  RequestId id = 0;
  std::int64_t num_tokens = 0;
  std::int64_t draft_tokens = 0;  // at most what want_drafts() asked for
  bool prefill = false;           // the prompt, or what a preemption made it compute again
  bool samples = false;           // reaches the length: the engine samples after it
};

struct FailedRequest {
  RequestId id = 0;
  Status reason;
};

struct StepPlan {
  std::vector<StepPiece> pieces;  // decodes before prefill; room for all of them is reserved
  // What changed on the way here. The ledger has heard of all of it.
  std::vector<RequestId> admitted;     // opened: first time, or again after a preemption
  std::vector<RequestId> preempted;    // released; will be admitted again and computed again
  std::vector<RequestId> swapped_out;  // will be swapped in and go on
  std::vector<RequestId> swapped_in;
  std::vector<RequestId> expired;     // over: the deadline passed, before or after the start
  std::vector<FailedRequest> failed;  // over: can never fit

  bool empty() const { return pieces.empty(); }
  void clear();
};

// What became of a piece.
struct PieceOutcome {
  RequestId id = 0;
  // By how much the context grew: num_tokens and the accepted drafts; 0 when the piece did not run.
  std::int64_t tokens_kept = 0;
  // By how much the length grew: accepted drafts, the sampled token, forced tokens after it.
  std::int64_t tokens_generated = 0;
};

struct StepReport {
  std::chrono::nanoseconds duration{0};
  std::vector<PieceOutcome> outcomes;  // in any order; requests that ended meanwhile are skipped
};

struct CallerStats {
  std::int64_t waiting = 0;
  std::int64_t running = 0;
  std::int64_t prompt_tokens = 0;     // computed for it; what a prefix covered is not counted
  std::int64_t generated_tokens = 0;  // computed for it
  double service = 0;                 // weighted sum of both, by which callers are compared
};

struct SchedulerStats {
  std::int64_t waiting = 0;  // in the queue, preempted and swapped-out ones included
  std::int64_t waiting_prompt_tokens = 0;
  std::int64_t running = 0;
  std::int64_t swapped = 0;
  std::uint64_t num_submitted = 0;
  std::uint64_t num_refused = 0;
  std::uint64_t num_finished = 0;
  std::uint64_t num_cancelled = 0;
  std::uint64_t num_expired = 0;
  std::uint64_t num_failed = 0;
  std::uint64_t num_preempted = 0;  // swapped-out ones included
  std::uint64_t num_swapped_out = 0;
};

class Scheduler {
 public:
  virtual ~Scheduler() = default;

  // Queues a request. kResourceExhausted names the limit of the queue that is reached, kInvalidArgument a count that
  // makes no sense. The id must be new.
  virtual Status submit(const ScheduledRequest& request) = 0;
  // The request has its answer. Unknown ids do nothing, here and below.
  virtual void finish(RequestId id) = 0;
  // The caller gave up: waiting, in prefill or decoding, it is in no plan from now on.
  virtual void cancel(RequestId id) = 0;
  // Tokens that the engine would like to propose in each step from now on; 0 for none.
  virtual void want_drafts(RequestId id, std::int64_t tokens) = 0;

  // What to run now. The plan is empty when nothing can run. Valid until the next call of plan().
  virtual const StepPlan& plan(TimePoint now, KvLedger& ledger) = 0;
  // Must follow each plan that has pieces, before the next.
  virtual void report(const StepReport& report) = 0;

  virtual const SchedulerStats& stats() const = 0;
  // Zeros for a caller that is not known.
  virtual CallerStats caller_stats(std::string_view caller_key) const = 0;
};

inline void StepPlan::clear() {
  pieces.clear();
  admitted.clear();
  preempted.clear();
  swapped_out.clear();
  swapped_in.clear();
  expired.clear();
  failed.clear();
}

}  // namespace mlxr
