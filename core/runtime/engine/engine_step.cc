// One step of an engine: plan, run the batch, give each task its rows.

#include <algorithm>
#include <chrono>
#include <new>

#include <fmt/core.h>

#include "core/runtime/engine/engine_loop.h"

namespace mlxr {
namespace {

using Clock = std::chrono::steady_clock;

double ms_between(TimePoint from, TimePoint to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

// The rows of a result that belong to one piece.
class RowCursor {
 public:
  RowCursor(std::span<const float> values, std::int64_t width)
      : values_(values), width_(static_cast<std::size_t>(width)) {}

  std::span<const float> take(RowsWanted wanted, std::size_t num_tokens) {
    const std::size_t rows = wanted == RowsWanted::kAll ? num_tokens : wanted == RowsWanted::kLast ? 1 : 0;
    const auto part = values_.first(rows * width_);
    values_ = values_.subspan(rows * width_);
    return part;
  }

 private:
  std::span<const float> values_;
  std::size_t width_;
};

}  // namespace

void Engine::Loop::step() {
  const TimePoint start = Clock::now();
  want_drafts();
  const StepPlan& plan = scheduler_->plan(start, ledger_);
  apply_changes(plan);
  stalled_ = plan.empty();
  if (plan.empty()) return;

  const TimePoint plan_made = Clock::now();
  propose(plan);
  const TimePoint proposals_made = Clock::now();
  batch_.clear();
  for (const StepPiece& planned : plan.pieces)
    add_piece(planned);
  report_.outcomes.clear();
  const TimePoint ready = Clock::now();
  Status status = batch_.empty() ? Status{} : run_batch();
  const TimePoint computed = Clock::now();
  if (status.ok()) {
    consume_rows();
  } else {
    fail_batch(status);
  }
  report_.duration = computed - ready;
  learn_costs(report_.duration);
  scheduler_->report(report_);
  end_finished();

  ++stats_.num_steps;
  stats_.last_step = computed;
  stats_.step_ms += ms_between(ready, computed);
  stats_.proposal_ms += ms_between(plan_made, proposals_made);
  stats_.overhead_ms +=
      ms_between(start, plan_made) + ms_between(proposals_made, ready) + ms_between(computed, Clock::now());
}

void Engine::Loop::apply_changes(const StepPlan& plan) {
  const TimePoint now = Clock::now();
  for (const RequestId id : plan.admitted) {
    if (Task* task = ledger_.find(id)) {
      Job& job = task->job();
      job.note_first_step(now);
      // Later choices share the first one's prompt, which is counted once.
      if (!task->opened && (task == job.tasks().front().get() || task->max_tokens() == 0)) {
        job.report().cached_tokens += ledger_.context(id);
      }
      if (!task->opened) task->admitted(ledger_.context(id));
      task->opened = true;
    }
  }
  const auto count_preemption = [this](RequestId id) {
    if (Task* task = ledger_.find(id)) ++task->job().report().num_preemptions;
  };
  for (const RequestId id : plan.preempted)
    count_preemption(id);
  for (const RequestId id : plan.swapped_out)
    count_preemption(id);
  for (const RequestId id : plan.expired) {
    if (Task* task = ledger_.find(id)) fail_job(task->job(), cancelled("the deadline of the request has passed"));
  }
  for (const FailedRequest& failed : plan.failed) {
    if (Task* task = ledger_.find(failed.id)) fail_job(task->job(), failed.reason);
  }
  if (const Status moved = ledger_.take_error(); !moved.ok()) {
    for (const std::unique_ptr<Job>& job : jobs_)
      fail_job(*job, moved);
  }
}

void Engine::Loop::add_piece(const StepPiece& planned) {
  Task* task = ledger_.find(planned.id);
  if (task == nullptr) return;  // its job failed after the plan was made
  const std::int64_t context = cache_->committed(*task->sequence);
  RunningPiece running{.task = task};
  const auto known =
      task->tokens().subspan(static_cast<std::size_t>(context), static_cast<std::size_t>(planned.num_tokens));
  running.tokens.assign(known.begin(), known.end());
  if (planned.draft_tokens > 0) {
    Speculator& speculator = *task->speculator();
    const std::size_t fitting = std::min(speculator.proposal().size(), static_cast<std::size_t>(planned.draft_tokens));
    speculator.keep_first(static_cast<std::int64_t>(task->num_acceptable(speculator.proposal().first(fitting))));
    const auto drafts = speculator.proposal();
    running.tokens.insert(running.tokens.end(), drafts.begin(), drafts.end());
  }
  running.piece = {.context = context,
                   .num_known = planned.num_tokens,
                   .num_drafts = static_cast<std::int64_t>(running.tokens.size()) - planned.num_tokens,
                   .samples = planned.samples};
  running.logits = task->logits_wanted(running.piece);
  shorten_to_fit(running);
  running.hidden = task->hidden_wanted(running.piece);
  stats_.draft_tokens += static_cast<std::uint64_t>(running.piece.num_drafts);
  batch_.push_back(std::move(running));
}

// Logits of every token of a prompt are large: no more of it in one step than kMaxLogitBytes hold.
void Engine::Loop::shorten_to_fit(RunningPiece& running) const {
  constexpr std::int64_t kMaxLogitBytes = std::int64_t{64} << 20;
  const std::int64_t most = std::max<std::int64_t>(1, kMaxLogitBytes / (4 * shared_.vocab_size));
  if (running.logits != RowsWanted::kAll || running.piece.num_drafts > 0 || running.piece.num_known <= most) return;
  running.tokens.resize(static_cast<std::size_t>(most));
  running.piece.num_known = most;
  running.piece.samples = false;
}

Status Engine::Loop::run_batch() {
  std::vector<SequencePiece> pieces;
  for (const RunningPiece& running : batch_) {
    const SequenceId sequence = *running.task->sequence;
    // The scheduler has reserved it.
    MLXR_RETURN_IF_ERROR(cache_->extend(sequence, static_cast<std::int64_t>(running.tokens.size())));
    pieces.push_back({sequence, running.tokens, running.logits, running.hidden});
    stats_.computed_tokens += running.tokens.size();
  }
  MLXR_RETURN_IF_ERROR(bytes_.apply(cache_->take_copies()));
  try {
    return runner_.compute(pieces, rows_);
  } catch (const std::bad_alloc&) {
    return resource_exhausted(fmt::format("no memory for a step of {} sequences", pieces.size()));
  }
}

void Engine::Loop::consume_rows() {
  RowCursor logits(rows_.logits, shared_.vocab_size);
  RowCursor hidden(rows_.hidden, model_.model().config().hidden_size);
  const TimePoint now = Clock::now();
  for (RunningPiece& running : batch_) {
    const PieceRows rows{.logits = logits.take(running.logits, running.tokens.size()),
                         .hidden = hidden.take(running.hidden, running.tokens.size())};
    if (running.task->over) continue;  // another task of its job has failed in this step
    const Result<TaskProgress> progress = running.task->consume(running.piece, rows, now);
    if (!progress.ok()) {
      fail_job(running.task->job(), progress.status());
      continue;
    }
    settle(running, *progress);
  }
}

// Keeps of the piece what became part of the sequence.
void Engine::Loop::settle(RunningPiece& running, const TaskProgress& progress) {
  const TaskPiece& piece = running.piece;
  const SequenceId sequence = *running.task->sequence;
  const std::int64_t kept = piece.num_known + progress.num_accepted;
  if (progress.num_accepted < piece.num_drafts) cache_->truncate(sequence, piece.context + kept);
  cache_->commit(sequence, std::span(running.tokens).first(static_cast<std::size_t>(kept)));
  bytes_.save(cache_->take_published());
  running.finished = progress.finished;
  report_.outcomes.push_back(
      {.id = running.task->id(), .tokens_kept = kept, .tokens_generated = progress.num_generated});
  stats_.generated_tokens += static_cast<std::uint64_t>(progress.num_generated);
  stats_.accepted_tokens += static_cast<std::uint64_t>(progress.num_accepted);
}

void Engine::Loop::end_finished() {
  for (RunningPiece& running : batch_) {
    Task& task = *running.task;
    if (task.over) continue;
    if (running.finished) end_task(task);
    if (running.piece.samples) submit_siblings(task.job());
  }
}

void Engine::Loop::fail_batch(const Status& status) {
  for (RunningPiece& running : batch_) {
    if (!running.task->over) fail_job(running.task->job(), status);
  }
}

}  // namespace mlxr
