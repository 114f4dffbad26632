#pragma once
// Task: a sequence that the scheduler knows by a RequestId: one choice of an answer, or one input of an embedding. It
// knows its tokens, says what a step shall bring back, and turns that into events. The engine thread owns it.

#include <cstdint>
#include <optional>
#include <span>

#include "core/runtime/engine/job.h"
#include "core/runtime/sampler/sampler.h"
#include "core/runtime/spec/speculator.h"
#include "core/runtime/step_runner.h"

namespace mlxr {

// A piece of a task in a step: known tokens from `context` on, then drafts.
struct TaskPiece {
  std::int64_t context = 0;     // tokens that were in memory before
  std::int64_t num_known = 0;   // known ones that the step adds
  std::int64_t num_drafts = 0;  // proposed ones after those
  bool samples = false;         // the known ones reach the end: the token after them is wanted
};

// The rows of a piece that a step brought back, in order.
struct PieceRows {
  std::span<const float> logits;  // [rows, vocab]
  std::span<const float> hidden;  // [rows, hidden]
};

// What a task made of its piece.
struct TaskProgress {
  std::int64_t num_accepted = 0;   // drafts that became known tokens
  std::int64_t num_generated = 0;  // by how many the known tokens grew, accepted ones included
  bool finished = false;
};

class Task {
 public:
  Task(Job& job, RequestId id) : job_(job), id_(id) {}
  virtual ~Task() = default;
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

  RequestId id() const { return id_; }
  Job& job() { return job_; }
  const Job& job() const { return job_; }

  // All that are known: the prompt's, then the generated ones.
  virtual std::span<const TokenId> tokens() const = 0;
  virtual std::int64_t num_prompt_tokens() const = 0;
  // To generate at most; -1: unknown.
  virtual std::int64_t max_tokens() const { return -1; }
  virtual bool may_reuse_prefix() const { return true; }

  // Speculation of the task; nullptr: none. The engine asks it for proposals and tells the scheduler how many are
  // wanted.
  virtual Speculator* speculator() { return nullptr; }
  // What the task samples with; a draft model draws with the same random numbers. nullptr when it samples nothing.
  virtual Sampler* sampler() { return nullptr; }
  // How many of the proposed tokens may come, one after the other.
  virtual std::size_t num_acceptable(std::span<const TokenId> proposed) { return proposed.size(); }
  virtual RowsWanted logits_wanted(const TaskPiece& piece) const = 0;
  virtual RowsWanted hidden_wanted(const TaskPiece& /*piece*/) const { return RowsWanted::kNone; }
  // The step has run. kInvalidArgument and others end the job.
  virtual Result<TaskProgress> consume(const TaskPiece& piece, const PieceRows& rows, TimePoint now) = 0;
  // The scheduler gave it a place for the first time; so many of its tokens were found in the cache.
  virtual void admitted(std::int64_t /*cached_tokens*/) {}
  // The caller wants no more of this task, and goes on with others of the job. False: it cannot end alone.
  virtual bool unwanted() const { return false; }
  // The caller gave up.
  virtual void cancelled() = 0;

  std::optional<SequenceId> sequence;        // while it holds KV memory
  std::optional<SequenceId> draft_sequence;  // while the draft model follows it
  bool submitted = false;                    // the scheduler knows it
  bool opened = false;                       // it has been admitted once
  bool over = false;

 private:
  Job& job_;
  RequestId id_;
};

}  // namespace mlxr
