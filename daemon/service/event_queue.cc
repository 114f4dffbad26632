#include "daemon/service/event_queue.h"

namespace mlxr {

void EventQueue::push(AnswerEvent event) {
  const std::lock_guard lock(mutex_);
  if (ended_) return;
  ended_ = std::holds_alternative<AnswerDone>(event) || std::holds_alternative<AnswerFailed>(event);
  events_.push_back(std::move(event));
  changed_.notify_all();
  if (notify_) notify_();
}

std::optional<AnswerEvent> EventQueue::take_locked() {
  if (events_.empty()) return std::nullopt;
  AnswerEvent event = std::move(events_.front());
  events_.pop_front();
  return event;
}

std::optional<AnswerEvent> EventQueue::try_next() {
  const std::lock_guard lock(mutex_);
  return take_locked();
}

std::optional<AnswerEvent> EventQueue::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !events_.empty() || ended_; });
  return take_locked();
}

bool EventQueue::finished() const {
  const std::lock_guard lock(mutex_);
  return ended_ && events_.empty();
}

void EventQueue::on_event(std::function<void()> notify) {
  const std::lock_guard lock(mutex_);
  notify_ = std::move(notify);
  if (notify_ && !events_.empty()) notify_();
}

}  // namespace mlxr
