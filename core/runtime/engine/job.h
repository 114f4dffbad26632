#pragma once
// Job: one request inside the engine, with the tasks that it is made of (a choice or an embedding each) and the stream
// that its events go to. The engine thread owns it.

#include <cstdint>
#include <memory>
#include <vector>

#include "core/runtime/engine/request.h"
#include "core/runtime/engine/response_stream.h"
#include "core/runtime/kv/kv_cache.h"

namespace mlxr {

class Task;

class Job {
 public:
  Job(std::shared_ptr<ResponseStream> stream, RequestOrigin origin, TimePoint submitted);
  ~Job();

  ResponseStream& stream() { return *stream_; }
  const ResponseStream& stream() const { return *stream_; }
  const RequestOrigin& origin() const { return origin_; }
  TimePoint submitted() const { return submitted_; }

  void add_task(std::unique_ptr<Task> task);
  const std::vector<std::unique_ptr<Task>>& tasks() const { return tasks_; }

  // Events of the answer. With `answered` below the number of choices they wait until all have ended.
  void hold_choices(int answered) { num_answered_ = answered; }
  void send(DeltaEvent event);
  void send(FinishEvent event);
  void send(Event event) { stream_->push(std::move(event)); }

  // One of the tasks is over; with the last one the stream ends.
  void task_ended(TimePoint now);
  // Ends the stream at once, with whatever it has shown.
  void fail(Status status);
  bool ended() const { return ended_; }

  // What DoneEvent reports.
  DoneEvent& report() { return report_; }
  void note_first_step(TimePoint now);
  void note_first_token(TimePoint now);

 private:
  struct HeldChoice {
    DeltaEvent delta;
    FinishEvent finish;
  };
  void answer_best();

  std::shared_ptr<ResponseStream> stream_;
  RequestOrigin origin_;
  TimePoint submitted_;
  std::optional<TimePoint> first_step_;
  std::optional<TimePoint> first_token_;
  std::vector<std::unique_ptr<Task>> tasks_;
  std::size_t num_ended_ = 0;
  int num_answered_ = 0;  // above 0: choices are held and the best so many answered
  std::vector<HeldChoice> held_;
  DoneEvent report_;
  bool ended_ = false;
};

}  // namespace mlxr
