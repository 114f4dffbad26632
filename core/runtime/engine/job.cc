#include "core/runtime/engine/job.h"

#include <algorithm>
#include <numeric>

#include "core/runtime/engine/task.h"

namespace mlxr {
namespace {

double ms_between(TimePoint from, TimePoint to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

double mean_logprob(const FinishEvent& finish) {
  return finish.cumulative_logprob / static_cast<double>(std::max<std::int64_t>(finish.num_tokens, 1));
}

}  // namespace

Job::Job(std::shared_ptr<ResponseStream> stream, RequestOrigin origin, TimePoint submitted)
    : stream_(std::move(stream)), origin_(std::move(origin)), submitted_(submitted) {}

Job::~Job() = default;

void Job::add_task(std::unique_ptr<Task> task) {
  tasks_.push_back(std::move(task));
}

void Job::send(DeltaEvent event) {
  if (num_answered_ == 0) {
    stream_->push(std::move(event));
    return;
  }
  held_.resize(tasks_.size());
  DeltaEvent& held = held_[static_cast<std::size_t>(event.choice)].delta;
  held.tokens.insert(held.tokens.end(), event.tokens.begin(), event.tokens.end());
  held.logprobs.insert(held.logprobs.end(), event.logprobs.begin(), event.logprobs.end());
  held.text += event.text;
}

void Job::send(FinishEvent event) {
  if (num_answered_ == 0) {
    stream_->push(std::move(event));
    return;
  }
  held_.resize(tasks_.size());
  held_[static_cast<std::size_t>(event.choice)].finish = std::move(event);
}

void Job::answer_best() {
  std::vector<std::size_t> order(held_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [this](std::size_t a, std::size_t b) {
    return mean_logprob(held_[a].finish) > mean_logprob(held_[b].finish);
  });
  order.resize(std::min(order.size(), static_cast<std::size_t>(num_answered_)));
  for (std::size_t choice = 0; choice < order.size(); ++choice) {
    HeldChoice& held = held_[order[choice]];
    held.delta.choice = static_cast<int>(choice);
    held.finish.choice = static_cast<int>(choice);
    stream_->push(std::move(held.delta));
    stream_->push(std::move(held.finish));
  }
}

void Job::task_ended(TimePoint now) {
  if (ended_ || ++num_ended_ < tasks_.size()) return;
  ended_ = true;
  if (num_answered_ > 0) answer_best();
  const TimePoint started = first_step_.value_or(now);
  const TimePoint answered = first_token_.value_or(now);
  report_.timings = {.queued_ms = ms_between(submitted_, started),
                     .prompt_ms = ms_between(started, answered),
                     .generation_ms = ms_between(answered, now)};
  stream_->push(report_);
}

void Job::fail(Status status) {
  if (ended_) return;
  ended_ = true;
  stream_->push(FailedEvent{std::move(status)});
}

void Job::note_first_step(TimePoint now) {
  if (!first_step_) first_step_ = now;
}

void Job::note_first_token(TimePoint now) {
  if (!first_token_) first_token_ = now;
}

}  // namespace mlxr
