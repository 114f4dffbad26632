#include "core/runtime/engine/engine_loop.h"

#include <algorithm>
#include <chrono>

#include <fmt/core.h>

#include "core/runtime/model_fingerprint.h"

namespace mlxr {
namespace {

using Clock = std::chrono::steady_clock;

// How long the thread waits when requests are there and none can run: for a deadline to pass, say.
constexpr std::chrono::milliseconds kStalledWait{2};

}  // namespace

Engine::Loop::Loop(Parts parts)
    : model_(parts.model),
      inbox_(std::move(parts.inbox)),
      scheduler_(std::move(parts.scheduler)),
      storage_(std::move(parts.storage)),
      cache_(std::move(parts.cache)),
      bytes_(*storage_, std::move(parts.store)),
      ledger_(*cache_, bytes_, parts.fingerprint),
      runner_(model_.model(), model_.backend(), *cache_, *storage_),
      shared_{.tokenizer = model_.tokenizer(),
              .context = parts.context,
              .vocab_size = model_.model().config().vocab_size,
              .logprobs = logprobs_,
              .speculate = parts.speculate,
              .draft_model = parts.draft != nullptr},
      draft_(std::move(parts.draft)),
      max_draft_tokens_(parts.max_draft_tokens) {
  runner_.watch(model_.source());
  if (model_.tokenizer() != nullptr) vocabulary_ = std::make_unique<SamplingVocabulary>(*model_.tokenizer());
}

void Engine::Loop::run() {
  while (take_requests()) {
    drop_cancelled();
    step();
    publish_stats();
    forget_ended();
  }
  for (const std::unique_ptr<Job>& job : jobs_)
    fail_job(*job, cancelled("the engine is shutting down"));
  publish_stats();
  forget_ended();
}

void Engine::Loop::wait_for_work(std::unique_lock<std::mutex>& lock) {
  const auto something = [this] { return inbox_->woken || inbox_->stopping || !inbox_->requests.empty(); };
  if (jobs_.empty()) {
#ifndef NDEBUG
    const Status sound = cache_->check_integrity();
    MLXR_CHECK(sound.ok(), sound.message().c_str());
#endif
    inbox_->wake.wait(lock, something);
  } else if (stalled_) {
    inbox_->wake.wait_for(lock, kStalledWait, something);
  }
  inbox_->woken = false;
}

bool Engine::Loop::take_requests() {
  std::vector<NewRequest> requests;
  {
    std::unique_lock lock(inbox_->mutex);
    wait_for_work(lock);
    if (inbox_->stopping) {
      for (NewRequest& request : inbox_->requests) {
        request.stream->push(FailedEvent{cancelled("the engine is shutting down")});
        --inbox_->num_open;
      }
      inbox_->requests.clear();
      return false;
    }
    requests.swap(inbox_->requests);
  }
  for (NewRequest& request : requests)
    accept(std::move(request));
  return true;
}

void Engine::Loop::accept(NewRequest request) {
  if (auto* generate = std::get_if<std::shared_ptr<const GenerateRequest>>(&request.request)) {
    jobs_.push_back(std::make_unique<Job>(std::move(request.stream), (*generate)->origin, request.submitted));
    start_job(*jobs_.back(), std::move(*generate));
    return;
  }
  auto& embed = std::get<EmbedRequest>(request.request);
  jobs_.push_back(std::make_unique<Job>(std::move(request.stream), embed.origin, request.submitted));
  start_job(*jobs_.back(), std::move(embed));
}

void Engine::Loop::start_job(Job& job, std::shared_ptr<const GenerateRequest> request) {
  Result<Sampler> sampler = Sampler::make(request->sampling, vocabulary_.get());
  if (!sampler.ok()) return fail_job(job, sampler.status());
  job.report().prompt_tokens = static_cast<std::int64_t>(request->prompt.size());
  if (request->best_of > request->n) job.hold_choices(request->n);
  for (int choice = 0; choice < request->num_generated_choices(); ++choice) {
    Sampler own = choice == 0 ? sampler->clone() : sampler->clone_for_choice(static_cast<std::uint64_t>(choice));
    own.accept_prompt(request->prompt);
    job.add_task(std::make_unique<GenerateTask>(job, next_id_++, choice, request, std::move(own), shared_));
  }
  // The others follow when this one has the prompt in memory, and share it.
  submit(*job.tasks().front());
}

void Engine::Loop::start_job(Job& job, EmbedRequest request) {
  const std::int64_t hidden = model_.model().config().hidden_size;
  for (std::size_t input = 0; input < request.inputs.size(); ++input) {
    std::vector<TokenId> tokens = std::move(request.inputs[input]);
    job.report().prompt_tokens += static_cast<std::int64_t>(tokens.size());
    job.add_task(
        std::make_unique<EmbedTask>(job, next_id_++, static_cast<int>(input), std::move(tokens), request, hidden));
  }
  for (const std::unique_ptr<Task>& task : job.tasks()) {
    if (!job.ended()) submit(*task);
  }
}

void Engine::Loop::submit(Task& task) {
  Job& job = task.job();
  ledger_.add(task);
  task.submitted = true;
  Status status = scheduler_->submit({.id = task.id(),
                                      .caller_key = job.origin().caller_key,
                                      .priority = job.origin().priority,
                                      .prompt_tokens = task.num_prompt_tokens(),
                                      .max_tokens = task.max_tokens(),
                                      .arrival = job.submitted(),
                                      .deadline = job.origin().deadline});
  if (!status.ok()) fail_job(job, status);
}

void Engine::Loop::submit_siblings(Job& job) {
  for (const std::unique_ptr<Task>& task : job.tasks()) {
    if (!task->submitted && !job.ended()) submit(*task);
  }
}

void Engine::Loop::drop_cancelled() {
  for (const std::unique_ptr<Job>& job : jobs_) {
    if (job->ended()) continue;
    if (job->stream().cancelled()) {
      cancel_job(*job);
    } else if (job->stream().has_ended_choices()) {
      end_unwanted(*job);
    }
  }
}

void Engine::Loop::release(Task& task) {
  ledger_.remove(task);
  if (task.draft_sequence) draft_->model().close(*task.draft_sequence);
  task.draft_sequence.reset();
}

void Engine::Loop::end_task(Task& task) {
  scheduler_->finish(task.id());
  release(task);
  task.over = true;
  task.job().task_ended(Clock::now());
}

void Engine::Loop::fail_job(Job& job, const Status& status) {
  for (const std::unique_ptr<Task>& task : job.tasks()) {
    if (task->over) continue;
    task->over = true;
    if (!task->submitted) continue;
    scheduler_->cancel(task->id());
    release(*task);
  }
  job.fail(status);
}

// A choice that waits for the first one's prompt ends when it is its turn.
void Engine::Loop::end_unwanted(Job& job) {
  for (const std::unique_ptr<Task>& task : job.tasks()) {
    if (task->over || !task->submitted || !task->unwanted()) continue;
    task->over = true;
    task->cancelled();
    scheduler_->cancel(task->id());
    release(*task);
    job.task_ended(Clock::now());
  }
}

void Engine::Loop::cancel_job(Job& job) {
  for (const std::unique_ptr<Task>& task : job.tasks()) {
    if (task->over) continue;
    task->over = true;
    task->cancelled();
    if (task->submitted) {
      scheduler_->cancel(task->id());
      release(*task);
    }
    job.task_ended(Clock::now());
  }
}

void Engine::Loop::forget_ended() {
  const auto before = jobs_.size();
  jobs_.remove_if([](const std::unique_ptr<Job>& job) { return job->ended(); });
  if (jobs_.size() == before) return;
  {
    const std::lock_guard lock(inbox_->mutex);
    inbox_->num_open -= static_cast<std::int64_t>(before - jobs_.size());
  }
  inbox_->idle.notify_all();
}

void Engine::Loop::publish_stats() {
  stats_.scheduler = scheduler_->stats();
  stats_.kv = cache_->stats();
  if (bytes_.store() != nullptr) stats_.store = bytes_.store()->stats();
  const std::lock_guard lock(inbox_->mutex);
  inbox_->stats = stats_;
}

}  // namespace mlxr
