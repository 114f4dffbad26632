#include "core/runtime/engine/response_stream.h"

#include "core/base/check.h"

namespace mlxr {
namespace {

// Adds events to a CompletedRequest; a status ends it.
class Fold {
 public:
  explicit Fold(CompletedRequest& result) : result_(result) {}

  Status operator()(PrefillEvent& /*event*/) { return {}; }
  Status operator()(PromptEvent& event) {
    result_.prompt = std::move(event);
    return {};
  }
  Status operator()(DeltaEvent& event) {
    Choice& choice = at(event.choice);
    choice.tokens.insert(choice.tokens.end(), event.tokens.begin(), event.tokens.end());
    for (Logprobs& logprobs : event.logprobs)
      choice.logprobs.push_back(std::move(logprobs));
    choice.text += event.text;
    return {};
  }
  Status operator()(FinishEvent& event) {
    at(event.choice).finish = event;
    return {};
  }
  Status operator()(EmbeddingEvent& event) {
    const auto index = static_cast<std::size_t>(event.input);
    if (result_.embeddings.size() <= index) result_.embeddings.resize(index + 1);
    result_.embeddings[index] = std::move(event.values);
    return {};
  }
  Status operator()(DoneEvent& event) {
    result_.done = event;
    return {};
  }
  Status operator()(FailedEvent& event) { return event.status; }

 private:
  Choice& at(int choice) {
    const auto index = static_cast<std::size_t>(choice);
    if (result_.choices.size() <= index) result_.choices.resize(index + 1);
    return result_.choices[index];
  }

  CompletedRequest& result_;
};

}  // namespace

std::optional<Event> ResponseStream::take_locked() {
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

std::optional<Event> ResponseStream::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !events_.empty() || ended_; });
  return take_locked();
}

std::optional<Event> ResponseStream::next_until(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, deadline, [this] { return !events_.empty() || ended_; });
  return take_locked();
}

std::optional<Event> ResponseStream::try_next() {
  const std::lock_guard lock(mutex_);
  return take_locked();
}

bool ResponseStream::finished() const {
  const std::lock_guard lock(mutex_);
  return ended_ && events_.empty();
}

void ResponseStream::on_event(std::function<void()> notify) {
  const std::lock_guard lock(mutex_);
  notify_ = std::move(notify);
  if (notify_ && !events_.empty()) notify_();
}

void ResponseStream::cancel() {
  if (!cancelled_.exchange(true, std::memory_order_acq_rel) && wake_) wake_();
}

void ResponseStream::end_choice(int choice) {
  {
    const std::lock_guard lock(mutex_);
    ended_choices_.insert(choice);
  }
  has_ended_choices_.store(true, std::memory_order_release);
  if (wake_) wake_();
}

bool ResponseStream::is_ended_choice(int choice) const {
  const std::lock_guard lock(mutex_);
  return ended_choices_.contains(choice);
}

void ResponseStream::push(Event event) {
  const std::lock_guard lock(mutex_);
  MLXR_CHECK(!ended_, "a stream ends once");
  ended_ = std::holds_alternative<DoneEvent>(event) || std::holds_alternative<FailedEvent>(event);
  events_.push_back(std::move(event));
  changed_.notify_all();
  if (notify_) notify_();
}

Result<CompletedRequest> collect(ResponseStream& stream) {
  CompletedRequest result;
  Fold fold(result);
  while (std::optional<Event> event = stream.next()) {
    MLXR_RETURN_IF_ERROR(std::visit(fold, *event));
  }
  return result;
}

}  // namespace mlxr
