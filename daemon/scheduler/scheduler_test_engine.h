#pragma once
// StepDriver: what an engine does around a scheduler, without a model: it runs plans on a machine of known speed, keeps
// lengths and contexts, ends requests at the number of tokens they were meant to have, and checks every plan.

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "daemon/scheduler/fair_scheduler.h"
#include "daemon/scheduler/scheduler_test_ledger.h"

namespace mlxr {

enum class Ending { kNone, kFinished, kCancelled, kExpired, kFailed };

class StepDriver {
 public:
  struct Run {
    ScheduledRequest request;
    std::int64_t answer_tokens = 0;  // after which it finishes
    std::int64_t length = 0;
    Ending ending = Ending::kNone;
    Status failure;
    bool open = false;
    bool swapped = false;
    int preemptions = 0;
    std::int64_t admitted_step = -1;  // the first time
    std::int64_t first_token_step = -1;
    std::int64_t end_step = -1;
    std::int64_t wanted_drafts = 0;

    std::int64_t generated() const { return length - request.prompt_tokens; }
  };

  StepDriver(const SchedulerOptions& options, TestLedger& ledger) : options_(options), ledger_(ledger) {
    scheduler_ = FairScheduler::create(options).value();
  }

  FairScheduler& scheduler() { return *scheduler_; }
  TestLedger& ledger() { return ledger_; }
  TimePoint now = TimePoint(std::chrono::hours(1));
  // Time of a step in ms, of its decode and prefill tokens.
  std::function<double(const StepPlan&)> step_ms = [](const StepPlan& plan) {
    double ms = 5;
    for (const StepPiece& piece : plan.pieces)
      ms += static_cast<double>(piece.num_tokens + piece.draft_tokens) * (piece.prefill ? 0.1 : 0.2);
    return ms;
  };
  // How many of the drafts of a piece are accepted.
  std::function<std::int64_t(const StepPiece&)> accepted = [](const StepPiece& piece) { return piece.draft_tokens; };

  struct Wish {
    std::string caller_key{};
    std::int64_t prompt_tokens = 10;
    std::int64_t answer_tokens = 5;
    int priority = 0;
    std::chrono::milliseconds deadline{0};  // after now; 0 is none
    bool tells_max_tokens = true;
  };

  // The id, or 0 when the scheduler refused.
  RequestId submit(const Wish& wish) {
    ScheduledRequest request{.id = next_id_++,
                             .caller_key = wish.caller_key,
                             .priority = wish.priority,
                             .prompt_tokens = wish.prompt_tokens,
                             .max_tokens = wish.tells_max_tokens ? wish.answer_tokens : -1,
                             .arrival = now,
                             .deadline = {}};
    if (wish.deadline.count() != 0) request.deadline = now + wish.deadline;
    last_status = scheduler_->submit(request);
    if (!last_status.ok()) return 0;
    Run& run = runs_[request.id];
    run.request = request;
    run.answer_tokens = wish.answer_tokens;
    run.length = wish.prompt_tokens;
    ledger_.set_length(request.id, run.length);
    return request.id;
  }
  Status last_status;

  void cancel(RequestId id) {
    scheduler_->cancel(id);
    end(id, Ending::kCancelled);
  }
  void want_drafts(RequestId id, std::int64_t tokens) {
    runs_.at(id).wanted_drafts = tokens;
    scheduler_->want_drafts(id, tokens);
  }

  // One step; false when there was nothing to run.
  bool step() {
    last = scheduler_->plan(now, ledger_);
    apply_changes();
    check_plan();
    if (last.empty()) {
      now += std::chrono::milliseconds(1);
      ++num_steps;
      return false;
    }
    StepReport report;
    last_ms = step_ms(last);
    report.duration = std::chrono::nanoseconds(static_cast<std::int64_t>(last_ms * 1e6));
    now += report.duration;
    std::vector<RequestId> done;
    for (const StepPiece& piece : last.pieces)
      report.outcomes.push_back(run_piece(piece, done));
    ++num_steps;
    scheduler_->report(report);
    for (const RequestId id : done) {
      scheduler_->finish(id);
      end(id, Ending::kFinished);
    }
    return true;
  }
  // Steps until all requests have ended.
  void drain(std::int64_t max_steps = 100000) {
    while (num_live() > 0 && max_steps-- > 0)
      step();
    ASSERT_EQ(num_live(), 0);
  }

  StepPlan last;
  double last_ms = 0;
  std::int64_t num_steps = 0;

  Run& run(RequestId id) { return runs_.at(id); }
  std::map<RequestId, Run>& runs() { return runs_; }
  std::int64_t num_live() const { return static_cast<std::int64_t>(runs_.size()) - num_ended_; }
  const StepPiece* piece(RequestId id) const {
    for (const StepPiece& p : last.pieces)
      if (p.id == id) return &p;
    return nullptr;
  }

 private:
  void end(RequestId id, Ending ending) {
    Run& run = runs_.at(id);
    ASSERT_EQ(run.ending, Ending::kNone) << "request " << id << " ended twice";
    run.ending = ending;
    run.end_step = num_steps;
    ++num_ended_;
    const bool released_by_scheduler = ending == Ending::kExpired || ending == Ending::kFailed;
    if ((run.open || run.swapped) && !released_by_scheduler) ledger_.release(id);
    ASSERT_FALSE(ledger_.holds(id));
    run.open = run.swapped = false;
  }

  void apply_changes() {
    for (const RequestId id : last.expired) {
      const Run& run = runs_.at(id);
      ASSERT_TRUE(run.request.deadline.has_value() && *run.request.deadline <= now);
      end(id, Ending::kExpired);
    }
    for (const FailedRequest& failed : last.failed) {
      runs_.at(failed.id).failure = failed.reason;
      end(failed.id, Ending::kFailed);
    }
    for (const RequestId id : last.preempted) {
      Run& run = runs_.at(id);
      ASSERT_TRUE(run.open);
      run.open = false;
      ++run.preemptions;
    }
    for (const RequestId id : last.swapped_out) {
      Run& run = runs_.at(id);
      ASSERT_TRUE(run.open);
      run.open = false;
      run.swapped = true;
      ++run.preemptions;
    }
    for (const RequestId id : last.swapped_in) {
      Run& run = runs_.at(id);
      ASSERT_TRUE(run.swapped);
      run.swapped = false;
      run.open = true;
    }
    for (const RequestId id : last.admitted) {
      Run& run = runs_.at(id);
      ASSERT_TRUE(!run.open && !run.swapped);
      run.open = true;
      if (run.admitted_step < 0) run.admitted_step = num_steps;
    }
  }

  // What must hold of every plan.
  void check_plan() {
    for (const RequestId id : last.admitted)
      if (runs_.at(id).generated() > 0) recomputing_.insert(id);
    std::int64_t tokens = 0;
    bool prefill_seen = false;
    std::set<RequestId> seen;
    for (const StepPiece& piece : last.pieces) {
      ASSERT_TRUE(seen.insert(piece.id).second);
      const Run& run = runs_.at(piece.id);
      ASSERT_TRUE(run.open);
      const std::int64_t remaining = run.length - ledger_.context(piece.id);
      ASSERT_GE(piece.num_tokens, 1);
      ASSERT_LE(piece.num_tokens, remaining);
      ASSERT_EQ(piece.samples, piece.num_tokens == remaining);
      ASSERT_LE(piece.draft_tokens, piece.samples && !piece.prefill ? run.wanted_drafts : 0);
      ASSERT_GE(ledger_.reserved_tokens(piece.id), piece.num_tokens + piece.draft_tokens);
      ASSERT_FALSE(prefill_seen && !piece.prefill) << "decodes come first";
      prefill_seen = prefill_seen || piece.prefill;
      tokens += piece.num_tokens + piece.draft_tokens;
    }
    ASSERT_LE(tokens, options_.max_step_tokens);
    std::int64_t open = 0;
    std::int64_t live = 0;
    for (const auto& [id, run] : runs_) {
      live += run.ending == Ending::kNone ? 1 : 0;
      open += run.open ? 1 : 0;
      ASSERT_EQ(ledger_.holds(id), run.open || run.swapped);
      const bool decodes = run.open && run.generated() > 0 && recomputing_.count(id) == 0;
      ASSERT_TRUE(!decodes || seen.count(id) == 1) << "decode of " << id << " was skipped";
    }
    ASSERT_LE(open, options_.max_running);
    ASSERT_EQ(open, scheduler_->stats().running);
    ASSERT_EQ(live - open, scheduler_->stats().waiting);
    const Status status = ledger_.check();
    ASSERT_TRUE(status.ok()) << status.message();
  }

  PieceOutcome run_piece(const StepPiece& piece, std::vector<RequestId>& done) {
    Run& run = runs_.at(piece.id);
    PieceOutcome outcome{.id = piece.id, .tokens_kept = piece.num_tokens, .tokens_generated = 0};
    if (piece.samples) {
      recomputing_.erase(piece.id);
      const std::int64_t drafts = std::min(accepted(piece), piece.draft_tokens);
      outcome.tokens_kept += drafts;
      outcome.tokens_generated = drafts + 1;
      if (run.first_token_step < 0) run.first_token_step = num_steps;
    }
    ledger_.run(piece.id, piece.num_tokens + piece.draft_tokens, outcome.tokens_kept);
    run.length += outcome.tokens_generated;
    ledger_.set_length(piece.id, run.length);
    if (run.generated() >= run.answer_tokens) done.push_back(piece.id);
    return outcome;
  }

  SchedulerOptions options_;
  TestLedger& ledger_;
  std::unique_ptr<FairScheduler> scheduler_;
  std::map<RequestId, Run> runs_;
  std::set<RequestId> recomputing_;  // in prefill again after a preemption
  std::int64_t num_ended_ = 0;
  RequestId next_id_ = 1;
};

}  // namespace mlxr
