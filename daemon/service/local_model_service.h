#pragma once
// LocalModelService: the ModelService over engines of this process. make_model_service() makes one.
//
// Threads, none of them a request's: two prepare (find, render, tokenize, compile, submit), up to four load, two tell
// (read answers and hand them on).

#include <atomic>
#include <map>
#include <memory>
#include <mutex>

#include "daemon/service/answer_run.h"
#include "daemon/service/grammar_cache.h"
#include "daemon/service/make_model_service.h"
#include "daemon/service/model_loader.h"
#include "daemon/service/model_text.h"
#include "daemon/service/request_table.h"
#include "daemon/service/worker_pool.h"

namespace mlxr {

class LocalModelService final : public ModelService {
 public:
  explicit LocalModelService(ServiceDependencies dependencies);
  ~LocalModelService() override;

  std::shared_ptr<AnswerStream> generate(GenerateCall call) override;
  std::shared_ptr<AnswerStream> embed(EmbedCall call) override;
  std::shared_ptr<AnswerStream> rerank(RerankCall call) override;
  std::shared_ptr<AnswerStream> load(CallOptions options) override;
  Status unload(const std::string& model) override;
  Status pin(const std::string& model, bool pinned) override;
  Status cancel(const std::string& request_id, const std::string& caller_key) override;
  std::vector<RunningModel> running() const override;
  std::vector<OpenRequest> requests() const override;
  Result<ModelAbilities> abilities(const std::string& model) override;
  Result<std::vector<TokenId>> tokenize(const std::string& model, const std::string& text,
                                        const TokenizeOptions& options) override;
  Result<std::vector<std::string>> pieces(const std::string& model, const std::vector<TokenId>& tokens) override;
  Result<std::string> detokenize(const std::string& model, const std::vector<TokenId>& tokens) override;
  Result<std::string> render(const std::string& model, const ChatInput& input) override;
  Result<std::int64_t> count_tokens(const GenerateCall& call) override;
  Result<PlanAnswer> plan(const PlanRequest& request) override;
  std::vector<ProbeReport> probe(std::chrono::milliseconds timeout) override;

  // --- for runs
  // -------------------------------------------------------------------------------------------------------

  const ServiceDependencies& dependencies() const { return dependencies_; }
  Result<ResolvedModel> resolve(const std::string& name) const;
  // model_ready() or fail() of the run follows.
  void request_model(const std::shared_ptr<AnswerRun>& run);
  void post_telling(std::function<void()> task) { telling_.post(std::move(task)); }
  void post_preparing(std::function<void()> task) { preparing_.post(std::move(task)); }
  void forget(const AnswerRun& run) { table_.remove(run); }
  TextCache& texts() { return texts_; }
  // Of the engine that is loaded under the name now.
  std::shared_ptr<GrammarCache> grammars(const std::string& model);
  // 0: it is not loaded.
  std::int64_t context_of(const std::string& model) const;

 private:
  std::shared_ptr<AnswerStream> start(const std::shared_ptr<AnswerRun>& run);
  EngineSpec spec_of(const ResolvedModel& model, const CallOptions& options) const;
  void note_loaded(const std::string& name, double load_ms, const Status& status);
  // The pool's name of a model that somebody named.
  std::string loaded_name(const std::string& model) const;

  ServiceDependencies dependencies_;
  EnginePool pool_;
  TextCache texts_;
  RequestTable table_;
  mutable std::mutex mutex_;
  std::map<std::string, std::string> digests_;                     // by name; guarded by mutex_
  std::map<std::string, std::shared_ptr<GrammarCache>> grammars_;  // by name; guarded by mutex_
  std::atomic<std::uint64_t> next_id_{1};
  WorkerPool preparing_;
  WorkerPool telling_;
  ModelLoader loader_;
};

}  // namespace mlxr
