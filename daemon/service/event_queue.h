#pragma once
// EventQueue: the events of an answer on their way from the service's threads to one consumer. The producer never
// waits; what a request may produce is bounded by its own limits.

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>

#include "daemon/service/answer_event.h"

namespace mlxr {

class EventQueue {
 public:
  // Ignored after an AnswerDone or AnswerFailed.
  void push(AnswerEvent event);

  std::optional<AnswerEvent> try_next();
  std::optional<AnswerEvent> next();
  bool finished() const;
  void on_event(std::function<void()> notify);

 private:
  std::optional<AnswerEvent> take_locked();

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<AnswerEvent> events_;  // guarded by mutex_, like all below
  bool ended_ = false;
  std::function<void()> notify_;
};

}  // namespace mlxr
