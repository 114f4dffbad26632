// Where a step's proposed tokens come from.

#include <algorithm>
#include <chrono>

#include "core/runtime/engine/engine_loop.h"

namespace mlxr {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(TimePoint start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

// Each decode expects a row and a token of every other.
void Engine::Loop::want_drafts() {
  decoding_.clear();
  for (const std::unique_ptr<Job>& job : jobs_) {
    for (const std::unique_ptr<Task>& task : job->tasks()) {
      if (!task->over && task->sequence && task->speculator() != nullptr) decoding_.push_back(task.get());
    }
  }
  const auto others = static_cast<std::int64_t>(decoding_.size()) - 1;
  load_ = {.rows = others, .tokens = static_cast<double>(others)};
  for (Task* task : decoding_) {
    scheduler_->want_drafts(task->id(), task->speculator()->wanted(costs_, load_, max_draft_tokens_));
  }
}

void Engine::Loop::propose(const StepPlan& plan) {
  draft_requests_.clear();
  drafted_.clear();
  for (const StepPiece& piece : plan.pieces) {
    if (piece.draft_tokens == 0) continue;
    Task* task = ledger_.find(piece.id);
    if (task == nullptr) continue;
    const auto made = task->speculator()->propose(task->tokens(), costs_, load_, piece.draft_tokens);
    if (made.draft_tokens == 0) continue;
    if (!task->draft_sequence) {
      const Result<SequenceId> opened = draft_->model().open();
      if (!opened.ok()) continue;
      task->draft_sequence = *opened;
    }
    draft_requests_.push_back({.sequence = *task->draft_sequence,
                               .context = task->tokens(),
                               .max_tokens = made.draft_tokens,
                               .sampler = task->sampler()});
    drafted_.push_back(task);
  }
  if (!draft_requests_.empty()) ask_draft_model();
}

// An error here costs the proposals, nothing else.
void Engine::Loop::ask_draft_model() {
  const TimePoint start = Clock::now();
  const Status status = draft_->model().propose(draft_requests_);
  const double seconds = seconds_since(start);
  std::int64_t tokens = 0;
  for (std::size_t i = 0; i < drafted_.size(); ++i) {
    const auto count = static_cast<std::int64_t>(draft_requests_[i].proposed.size());
    tokens += std::min(count + 1, draft_requests_[i].max_tokens);
    if (status.ok()) drafted_[i]->speculator()->give(std::move(draft_requests_[i].proposed));
  }
  if (status.ok()) costs_.record_proposal(Speculator::kDraftModel, tokens, seconds);
}

// Of steps that only decode.
void Engine::Loop::learn_costs(std::chrono::nanoseconds duration) {
  std::int64_t rows = 0;
  for (const RunningPiece& running : batch_) {
    if (running.piece.num_known > 1 || !running.piece.samples) return;
    rows += static_cast<std::int64_t>(running.tokens.size());
  }
  costs_.record_step(rows, std::chrono::duration<double>(duration).count());
}

}  // namespace mlxr
