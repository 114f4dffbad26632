#pragma once
// AnswerStream: the events of one call, for one consumer. Abstract, so that a dialect is tested on a list of events.

#include <functional>
#include <optional>

#include "daemon/service/answer_event.h"

namespace mlxr {

class AnswerStream {
 public:
  virtual ~AnswerStream() = default;

  // nullopt when there is none now, or no more: finished() tells the two apart. One thread at a time.
  virtual std::optional<AnswerEvent> try_next() = 0;
  // Waits for it; nullopt after the last one.
  virtual std::optional<AnswerEvent> next() = 0;
  // The last event was taken.
  virtual bool finished() const = 0;
  // Called after each event from now on, on whatever thread makes it, and at once when events wait. Must not block or
  // call back into the stream.
  virtual void on_event(std::function<void()> notify) = 0;
  // Any thread. What was not generated is not; the stream still ends with its last event.
  virtual void cancel() = 0;
};

}  // namespace mlxr
