#include "daemon/service/answer_run.h"

#include <fmt/core.h>

#include "daemon/service/local_model_service.h"

namespace mlxr {
namespace {

AnswerFailed::Kind kind_of_refusal(const Status& status) {
  return status.code() == StatusCode::kResourceExhausted ? AnswerFailed::Kind::kQueueFull : AnswerFailed::Kind::kOther;
}

}  // namespace

AnswerRun::AnswerRun(LocalModelService& service, const char* kind, CallOptions options)
    : service_(service), options_(std::move(options)), model_(options_.model) {
  facts_ = {.id = options_.request_id,
            .kind = kind,
            .model = options_.model,
            .dialect = options_.dialect,
            .caller_key = options_.origin.caller_key};
}

const ServiceObserver& AnswerRun::observer() const {
  return service_.dependencies().observer;
}

double AnswerRun::ms_since_arrival() const {
  return std::chrono::duration<double, std::milli>(Clock::now() - arrival_).count();
}

void AnswerRun::note_received() {
  observer().received(facts_);
}

void AnswerRun::resolve() {
  const std::lock_guard working(work_mutex_);
  Result<ResolvedModel> found = service_.resolve(options_.model);
  if (!found.ok()) {
    const bool missing = found.status().code() == StatusCode::kNotFound;
    if (missing && options_.model.empty()) return fail(invalid_argument("model: it is empty"));
    return fail(found.status(), missing ? AnswerFailed::Kind::kModelNotFound : AnswerFailed::Kind::kOther);
  }
  resolved_ = std::move(found).value();
  facts_.model = resolved_.name;
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    model_ = resolved_.name;
  }
  const Result<bool> over = without_engine();
  if (!over.ok()) return fail(over.status());
  if (!*over) service_.request_model(shared_from_this());
}

void AnswerRun::show_load(double fraction) {
  emit(LoadProgress{fraction});
}

Status AnswerRun::refused_by_engine(Status status) {
  refusal_ = kind_of_refusal(status);
  return status;
}

void AnswerRun::refuse(const Status& status, AnswerFailed::Kind kind) {
  const std::lock_guard working(work_mutex_);
  fail(status, kind);
}

void AnswerRun::model_ready(EnginePool::Lease lease) {
  const std::lock_guard working(work_mutex_);
  load_ms_ = ms_since_arrival();
  const auto keep_alive = options_.keep_alive    ? *options_.keep_alive
                          : resolved_.keep_alive ? *resolved_.keep_alive
                                                 : service_.dependencies().keep_alive;
  lease.set_keep_alive(keep_alive);
  Engine& engine = *lease;
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    lease_.emplace(std::move(lease));
    state_ = "queued";
  }
  if (observer().model_ready) observer().model_ready(facts_, load_ms_);
  if (options_.origin.deadline && *options_.origin.deadline < Clock::now()) {
    return fail(mlxr::cancelled("the deadline of the request has passed"));
  }
  const std::int64_t wanted = options_.context.value_or(0);
  if (wanted > engine.context()) {
    warnings_.push_back(
        fmt::format("context: {} tokens were asked for, but the model is loaded with {}", wanted, engine.context()));
  }
  auto streams = submit(engine);
  if (!streams.ok()) return fail(streams.status(), refusal_);
  attach(std::move(streams).value());
}

void AnswerRun::attach(std::vector<std::shared_ptr<ResponseStream>> streams) {
  bool late = false;
  {
    const std::lock_guard lock(mutex_);
    late = ended_;
    attached_ = !late;
    if (!late) streams_ = streams;
    // The engine tells of the end.
    if (cancelled_ || late) {
      for (const auto& stream : streams)
        stream->cancel();
    }
  }
  if (late) return;
  if (streams.empty()) return complete();
  // Streams do not keep the run alive; the table of open requests does.
  for (const auto& stream : streams) {
    stream->on_event([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->wake();
    });
  }
}

void AnswerRun::wake() {
  if (scheduled_.exchange(true)) return;
  service_.post_telling([self = shared_from_this()] { self->pump(); });
}

void AnswerRun::pump() {
  const std::lock_guard working(work_mutex_);
  scheduled_ = false;
  bool started = false;
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    started = std::string_view(state_) != "queued";
  }
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    while (std::optional<Event> event = streams_[i]->try_next()) {
      if (const auto* failed = std::get_if<FailedEvent>(&*event)) {
        return fail(failed->status, started ? AnswerFailed::Kind::kOther : kind_of_refusal(failed->status));
      }
      const bool over = std::holds_alternative<DoneEvent>(*event);
      take(i, *event);
      if (over && ++num_over_ == streams_.size()) return complete();
    }
  }
}

bool AnswerRun::end() {
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return false;
    ended_ = true;
  }
  let_go();
  return true;
}

// Before the last event is told: whoever sees it finds the model free and the request gone.
void AnswerRun::let_go() {
  std::optional<EnginePool::Lease> lease;
  std::vector<std::shared_ptr<ResponseStream>> streams;
  {
    const std::lock_guard lock(mutex_);
    if (lease_) lease.emplace(std::move(*lease_));
    lease_.reset();
    streams = streams_;
  }
  for (const auto& stream : streams)
    stream->on_event(nullptr);
  service_.forget(*this);
}

void AnswerRun::fail(Status status, AnswerFailed::Kind kind) {
  std::vector<std::shared_ptr<ResponseStream>> streams;
  {
    const std::lock_guard lock(mutex_);
    streams = streams_;
  }
  if (!end()) return;
  for (const auto& stream : streams)
    stream->cancel();
  outcome_.status = status;
  outcome_.kind = kind;
  outcome_.timings = timings();
  AnswerFailed failed{.status = std::move(status), .kind = kind};
  if (kind == AnswerFailed::Kind::kContextExceeded) {
    failed.prompt_tokens = outcome_.prompt_tokens;
    failed.context = service_.context_of(facts_.model);
  }
  if (observer().finished) observer().finished(facts_, outcome_);
  queue_.push(std::move(failed));
}

void AnswerRun::done(AnswerDone done) {
  if (!end()) return;
  done.timings.total_ms = ms_since_arrival();
  done.timings.load_ms = load_ms_;
  done.warnings = warnings_;
  outcome_.prompt_tokens = done.prompt_tokens;
  outcome_.cached_tokens = done.cached_tokens;
  outcome_.generated_tokens = done.generated_tokens;
  outcome_.reasoning_tokens = done.reasoning_tokens;
  outcome_.timings = done.timings;
  if (observer().finished) observer().finished(facts_, outcome_);
  queue_.push(std::move(done));
}

AnswerTimings AnswerRun::timings() const {
  return {.load_ms = load_ms_, .total_ms = ms_since_arrival()};
}

void AnswerRun::cancel() {
  std::vector<std::shared_ptr<ResponseStream>> streams;
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    cancelled_ = true;
    if (attached_) streams = streams_;
    // A worker ends what no engine has. It may be attached by then.
    if (!attached_) service_.post_preparing([self = shared_from_this()] { self->drop_cancelled(); });
  }
  for (const auto& stream : streams)
    stream->cancel();
}

void AnswerRun::drop_cancelled() {
  const std::lock_guard working(work_mutex_);
  {
    const std::lock_guard lock(mutex_);
    if (attached_) return;  // attach() has seen the flag
  }
  fail(mlxr::cancelled("the request was cancelled"));
}

void AnswerRun::abandon() {
  const std::lock_guard working(work_mutex_);
  fail(mlxr::cancelled("the service is shutting down"));
}

void AnswerRun::note_queued(std::int64_t prompt_tokens) {
  outcome_.prompt_tokens = prompt_tokens;
  {
    const std::lock_guard lock(mutex_);
    prompt_tokens_ = prompt_tokens;
  }
  if (observer().queued) observer().queued(facts_, prompt_tokens);
}

void AnswerRun::note_prefill(const PrefillEvent& event) {
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    first = std::string_view(state_) == "queued";
    if (first) state_ = "prefill";
  }
  if (first && observer().admitted) observer().admitted(facts_, event.cached_tokens);
  if (observer().prefill) {
    observer().prefill(facts_, {event.done_tokens, event.total_tokens, event.cached_tokens});
  }
}

void AnswerRun::note_tokens(int choice, std::int64_t num_tokens) {
  if (outcome_.first_token_ms < 0) {
    outcome_.first_token_ms = ms_since_arrival();
    if (observer().first_token) observer().first_token(facts_);
  }
  {
    const std::lock_guard lock(mutex_);
    state_ = "generating";
    generated_tokens_ += num_tokens;
  }
  if (observer().tokens) observer().tokens(facts_, choice, num_tokens);
}

OpenRequest AnswerRun::describe() const {
  const std::lock_guard lock(mutex_);
  return {.id = facts_.id,
          .model = model_,
          .caller_key = facts_.caller_key,
          .dialect = facts_.dialect,
          .state = state_,
          .prompt_tokens = prompt_tokens_,
          .generated_tokens = generated_tokens_,
          .age_ms = ms_since_arrival()};
}

}  // namespace mlxr
