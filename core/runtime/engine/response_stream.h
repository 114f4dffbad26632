#pragma once
// ResponseStream: the events of one request, from the engine thread to one consumer. The producer never waits; what a
// request may produce is bounded by its own limits. Cancelling is a flag that the engine sees before its next step.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <set>

#include "core/runtime/engine/event.h"

namespace mlxr {

class ResponseStream {
 public:
  // `wake` is called by cancel(), so that an idle engine looks.
  explicit ResponseStream(std::function<void()> wake) : wake_(std::move(wake)) {}

  // --- the consumer: one thread at a time ------------------------------------------------------------------------

  // Waits for the next event; nullopt after the last one.
  std::optional<Event> next();
  // nullopt too when none came until then: finished() tells the two apart.
  std::optional<Event> next_until(std::chrono::steady_clock::time_point deadline);
  std::optional<Event> try_next();
  // The last event was taken.
  bool finished() const;
  // Called on the engine thread after each event from now on, and at once when events wait. Must not block or call
  // back into the stream.
  void on_event(std::function<void()> notify);
  // Any thread. The stream then ends with choices that finish as kCancelled; nothing happens when it is over.
  void cancel();

  // Any thread. The choice ends before its next token, as kCancelled; the others go on.
  void end_choice(int choice);

  // --- the engine ------------------------------------------------------------------------------------------------

  bool cancelled() const { return cancelled_.load(std::memory_order_acquire); }
  bool has_ended_choices() const { return has_ended_choices_.load(std::memory_order_acquire); }
  bool is_ended_choice(int choice) const;
  // After a DoneEvent or FailedEvent nothing more may be pushed.
  void push(Event event);

 private:
  std::optional<Event> take_locked();

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Event> events_;      // guarded by mutex_
  bool ended_ = false;            // guarded by mutex_: the last event was pushed
  std::function<void()> notify_;  // guarded by mutex_
  std::set<int> ended_choices_;   // guarded by mutex_
  std::atomic<bool> has_ended_choices_{false};
  std::atomic<bool> cancelled_{false};
  std::function<void()> wake_;
};

// All of a request's answer in one piece: the fold over its events.
struct Choice {
  std::vector<TokenId> tokens;
  std::vector<Logprobs> logprobs;
  std::string text;
  FinishEvent finish;
};

struct CompletedRequest {
  PromptEvent prompt;
  std::vector<Choice> choices;
  std::vector<std::vector<float>> embeddings;
  DoneEvent done;
};

// Waits for the end; the status of a FailedEvent.
Result<CompletedRequest> collect(ResponseStream& stream);

}  // namespace mlxr
