#pragma once
// AnswerRun: one call on its way through the service. It waits for its model, prepares and submits its work on a
// worker, turns the engine's events into those of an answer, and ends exactly once, whatever happens.
//
// Threads: all work on a run is done by workers, one at a time (work_mutex_); cancel() and describe() come from
// anywhere and wait for none of it.

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/runtime/engine/engine_pool.h"
#include "daemon/service/answer_stream.h"
#include "daemon/service/event_queue.h"
#include "daemon/service/make_model_service.h"

namespace mlxr {

class LocalModelService;

class AnswerRun : public AnswerStream, public std::enable_shared_from_this<AnswerRun> {
 public:
  AnswerRun(LocalModelService& service, const char* kind, CallOptions options);

  std::optional<AnswerEvent> try_next() override { return queue_.try_next(); }
  std::optional<AnswerEvent> next() override { return queue_.next(); }
  bool finished() const override { return queue_.finished(); }
  void on_event(std::function<void()> notify) override { queue_.on_event(std::move(notify)); }
  void cancel() override;

  // What the service calls, in this order.
  void note_received();
  void resolve();
  void show_load(double fraction);
  void model_ready(EnginePool::Lease lease);
  void refuse(const Status& status, AnswerFailed::Kind kind);
  // The service goes away, and its workers have ended.
  void abandon();

  OpenRequest describe() const;
  const std::string& id() const { return facts_.id; }
  const std::string& caller_key() const { return facts_.caller_key; }
  const ResolvedModel& resolved() const { return resolved_; }
  const CallOptions& options() const { return options_; }

 protected:
  // What can be done without weights. True: the call is over, done() was called.
  virtual Result<bool> without_engine() { return false; }
  // Submits to the engine. Streams that it gives are read until all have ended.
  virtual Result<std::vector<std::shared_ptr<ResponseStream>>> submit(Engine& engine) = 0;
  virtual void take(std::size_t stream, Event& event) = 0;
  // All streams have ended well.
  virtual void complete() = 0;

  // Ends it with an error. Nothing happens when it has ended.
  void fail(Status status, AnswerFailed::Kind kind = AnswerFailed::Kind::kOther);
  // The same status; when the engine has no place for the request, that is what the failure will say.
  Status refused_by_engine(Status status);
  LocalModelService& service() { return service_; }
  void emit(AnswerEvent event) { queue_.push(std::move(event)); }
  void done(AnswerDone done);
  AnswerTimings timings() const;
  void note_queued(std::int64_t prompt_tokens);
  void note_prefill(const PrefillEvent& event);
  void note_tokens(int choice, std::int64_t num_tokens);
  const ServiceObserver& observer() const;
  double load_ms() const { return load_ms_; }
  ResponseStream* stream(std::size_t index) { return streams_[index].get(); }

  RequestFacts facts_;
  RequestOutcome outcome_;             // as far as it is known
  std::vector<std::string> warnings_;  // of the whole request

 private:
  using Clock = std::chrono::steady_clock;

  void drop_cancelled();
  void attach(std::vector<std::shared_ptr<ResponseStream>> streams);
  void wake();
  void pump();
  // False: it has ended before.
  bool end();
  void let_go();
  double ms_since_arrival() const;

  LocalModelService& service_;
  CallOptions options_;
  ResolvedModel resolved_;
  EventQueue queue_;
  const Clock::time_point arrival_ = Clock::now();
  double load_ms_ = 0.0;
  AnswerFailed::Kind refusal_ = AnswerFailed::Kind::kOther;

  std::mutex work_mutex_;  // held by the worker that works on it
  mutable std::mutex mutex_;
  bool ended_ = false;  // guarded by mutex_, like all below
  bool cancelled_ = false;
  bool attached_ = false;  // streams_ are there
  const char* state_ = "loading";
  std::int64_t prompt_tokens_ = 0;
  std::int64_t generated_tokens_ = 0;
  std::string model_;
  std::optional<EnginePool::Lease> lease_;

  std::vector<std::shared_ptr<ResponseStream>> streams_;  // written once, under mutex_ too
  std::atomic<bool> scheduled_{false};                    // pump() is posted
  std::size_t num_over_ = 0;
};

}  // namespace mlxr
