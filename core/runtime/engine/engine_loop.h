#pragma once
// Engine::Loop: what the engine thread does and owns.

#include <list>
#include <unordered_map>

#include "core/runtime/engine/draft_engine.h"
#include "core/runtime/engine/embed_task.h"
#include "core/runtime/engine/engine_ledger.h"
#include "core/runtime/engine/generate_task.h"
#include "core/runtime/engine/inbox.h"

namespace mlxr {

class Engine::Loop {
 public:
  struct Parts {
    LoadedModel& model;
    std::shared_ptr<Inbox> inbox;
    std::unique_ptr<Scheduler> scheduler;
    std::unique_ptr<KvStorage> storage;
    std::unique_ptr<PagedKv> cache;
    std::unique_ptr<BlockStore> store;
    std::string fingerprint;  // of the weights and the KV storage
    std::int64_t context = 0;
    std::unique_ptr<DraftEngine> draft;  // nullptr: none
    bool speculate = true;
    std::int64_t max_draft_tokens = 0;
  };
  explicit Loop(Parts parts);

  // Until the inbox says stop.
  void run();

 private:
  using JobList = std::list<std::unique_ptr<Job>>;

  // A piece of the running step.
  struct RunningPiece {
    Task* task = nullptr;
    TaskPiece piece = {};
    std::vector<TokenId> tokens = {};
    RowsWanted logits = RowsWanted::kNone;
    RowsWanted hidden = RowsWanted::kNone;
    bool finished = false;
  };

  // False: stop.
  bool take_requests();
  void wait_for_work(std::unique_lock<std::mutex>& lock);
  void accept(NewRequest request);
  void start_job(Job& job, std::shared_ptr<const GenerateRequest> request);
  void start_job(Job& job, EmbedRequest request);
  void submit(Task& task);
  void submit_siblings(Job& job);
  void drop_cancelled();

  void step();
  void want_drafts();
  void propose(const StepPlan& plan);
  void ask_draft_model();
  void apply_changes(const StepPlan& plan);
  void shorten_to_fit(RunningPiece& running) const;
  Status run_batch();
  void add_piece(const StepPiece& planned);
  void consume_rows();
  void learn_costs(std::chrono::nanoseconds duration);
  void settle(RunningPiece& running, const TaskProgress& progress);
  void end_finished();
  void fail_batch(const Status& status);

  void end_task(Task& task);
  void release(Task& task);
  void fail_job(Job& job, const Status& status);
  void cancel_job(Job& job);
  void end_unwanted(Job& job);
  void forget_ended();
  void publish_stats();

  LoadedModel& model_;
  std::shared_ptr<Inbox> inbox_;
  std::unique_ptr<Scheduler> scheduler_;
  std::unique_ptr<KvStorage> storage_;
  std::unique_ptr<PagedKv> cache_;
  KvBytes bytes_;
  EngineLedger ledger_;
  StepRunner runner_;
  std::unique_ptr<SamplingVocabulary> vocabulary_;
  LogprobReader logprobs_;
  GenerationShared shared_;
  JobList jobs_;
  RequestId next_id_ = 1;
  bool stalled_ = false;  // the last plan had nothing to run
  std::vector<RunningPiece> batch_;
  std::unique_ptr<DraftEngine> draft_;
  StepCosts costs_;
  SpecLoad load_;
  std::int64_t max_draft_tokens_;
  std::vector<Task*> decoding_;  // scratch
  std::vector<DraftRequest> draft_requests_;
  std::vector<Task*> drafted_;  // of draft_requests_
  StepRows rows_;
  StepReport report_;
  EngineStats stats_;
};

}  // namespace mlxr
