#include "daemon/service/local_model_service.h"

#include <filesystem>

#include <fmt/core.h>

#include "core/runtime/model_path.h"
#include "daemon/scheduler/fair_scheduler.h"
#include "daemon/service/embed_run.h"
#include "daemon/service/generate_run.h"
#include "daemon/service/load_run.h"
#include "daemon/service/rerank_run.h"

namespace mlxr {
namespace {

constexpr int kNumPreparing = 2;
constexpr int kNumTelling = 2;

}  // namespace

Result<ResolvedModel> resolve_by_path(const std::string& name) {
  if (name.empty()) return invalid_argument("model: it is empty");
  MLXR_ASSIGN_OR_RETURN(std::string path, resolve_model(name));
  return ResolvedModel{.name = name, .path = std::move(path)};
}

std::unique_ptr<ModelService> make_model_service(ServiceDependencies dependencies) {
  return std::make_unique<LocalModelService>(std::move(dependencies));
}

LocalModelService::LocalModelService(ServiceDependencies dependencies)
    : dependencies_(std::move(dependencies)),
      pool_(dependencies_.pool),
      table_(dependencies_.max_open_requests),
      preparing_(kNumPreparing),
      telling_(kNumTelling),
      loader_(pool_, [this](const std::string& name, double load_ms, const Status& status) {
        note_loaded(name, load_ms, status);
      }) {
  if (!dependencies_.resolve) dependencies_.resolve = resolve_by_path;
}

// The workers first, so that nobody works on what is abandoned; then the loads, which may have waited for its room;
// then the engines.
LocalModelService::~LocalModelService() {
  preparing_.stop();
  telling_.stop();
  for (const auto& run : table_.all())
    run->abandon();
  loader_.stop();
  for (const auto& run : table_.all())
    run->abandon();
}

Result<ResolvedModel> LocalModelService::resolve(const std::string& name) const {
  return dependencies_.resolve(name);
}

EngineSpec LocalModelService::spec_of(const ResolvedModel& model, const CallOptions& options) const {
  EngineSpec spec{.path = model.path, .model = dependencies_.model, .engine = dependencies_.engine};
  if (model.context) spec.engine.context = *model.context;
  if (options.context) spec.engine.context = *options.context;
  if (!model.draft_path.empty()) spec.engine.draft_path = model.draft_path;
  spec.max_step_tokens = dependencies_.scheduler.max_step_tokens;
  spec.make_scheduler = [scheduler = dependencies_.scheduler]() -> Result<std::unique_ptr<Scheduler>> {
    MLXR_ASSIGN_OR_RETURN(auto made, FairScheduler::create(scheduler));
    return std::unique_ptr<Scheduler>(std::move(made));
  };
  spec.keep_alive = dependencies_.keep_alive;
  spec.room_wait = dependencies_.room_wait;
  return spec;
}

void LocalModelService::request_model(const std::shared_ptr<AnswerRun>& run) {
  const std::string& name = run->resolved().name;
  {
    const std::lock_guard lock(mutex_);
    digests_[name] = run->resolved().digest;
  }
  loader_.acquire(name, spec_of(run->resolved(), run->options()),
                  {.progress = [run](double fraction) { run->show_load(fraction); },
                   .ready =
                       [this, run](Result<EnginePool::Lease> lease) {
                         if (!lease.ok()) {
                           const bool full = lease.status().code() == StatusCode::kResourceExhausted;
                           return run->refuse(lease.status(),
                                              full ? AnswerFailed::Kind::kMemoryFull : AnswerFailed::Kind::kOther);
                         }
                         // A lease cannot be copied, which a task has to be.
                         auto shared = std::make_shared<EnginePool::Lease>(std::move(lease).value());
                         preparing_.post([run, shared] { run->model_ready(std::move(*shared)); });
                       }});
}

void LocalModelService::note_loaded(const std::string& name, double load_ms, const Status& status) {
  {
    const std::lock_guard lock(mutex_);
    grammars_.erase(name);  // those of an engine that was there before
  }
  if (dependencies_.observer.loaded) dependencies_.observer.loaded(name, load_ms, status);
}

std::shared_ptr<GrammarCache> LocalModelService::grammars(const std::string& model) {
  const std::lock_guard lock(mutex_);
  auto& cache = grammars_[model];
  if (cache == nullptr) cache = std::make_shared<GrammarCache>();
  return cache;
}

std::int64_t LocalModelService::context_of(const std::string& model) const {
  const auto engine = pool_.find_loaded(model);
  return engine ? engine->context() : 0;
}

std::shared_ptr<AnswerStream> LocalModelService::start(const std::shared_ptr<AnswerRun>& run) {
  const Status added = table_.add(run);
  if (dependencies_.observer.received) run->note_received();
  if (!added.ok()) {
    const bool full = added.code() == StatusCode::kResourceExhausted;
    run->refuse(added, full ? AnswerFailed::Kind::kQueueFull : AnswerFailed::Kind::kOther);
    return run;
  }
  preparing_.post([run] { run->resolve(); });
  return run;
}

std::shared_ptr<AnswerStream> LocalModelService::generate(GenerateCall call) {
  if (call.options.request_id.empty()) call.options.request_id = fmt::format("req-{}", next_id_++);
  return start(std::make_shared<GenerateRun>(*this, std::move(call)));
}

std::shared_ptr<AnswerStream> LocalModelService::embed(EmbedCall call) {
  if (call.options.request_id.empty()) call.options.request_id = fmt::format("req-{}", next_id_++);
  return start(std::make_shared<EmbedRun>(*this, std::move(call)));
}

std::shared_ptr<AnswerStream> LocalModelService::rerank(RerankCall call) {
  if (call.options.request_id.empty()) call.options.request_id = fmt::format("req-{}", next_id_++);
  return start(std::make_shared<RerankRun>(*this, std::move(call)));
}

std::shared_ptr<AnswerStream> LocalModelService::load(CallOptions options) {
  if (options.request_id.empty()) options.request_id = fmt::format("req-{}", next_id_++);
  return start(std::make_shared<LoadRun>(*this, std::move(options)));
}

// A model that is loaded can be named though the registry knows it no more.
std::string LocalModelService::loaded_name(const std::string& model) const {
  const Result<ResolvedModel> found = resolve(model);
  return found.ok() ? found->name : model;
}

Status LocalModelService::unload(const std::string& model) {
  return pool_.unload(loaded_name(model));
}

Status LocalModelService::pin(const std::string& model, bool pinned) {
  return pool_.pin(loaded_name(model), pinned);
}

Status LocalModelService::cancel(const std::string& request_id, const std::string& caller_key) {
  const auto run = table_.find(request_id);
  if (run == nullptr || (!caller_key.empty() && run->caller_key() != caller_key)) {
    return not_found(fmt::format("no request \"{}\" is open", request_id));
  }
  run->cancel();
  return {};
}

std::vector<RunningModel> LocalModelService::running() const {
  const auto steady_now = std::chrono::steady_clock::now();
  const auto now = std::chrono::system_clock::now();
  std::vector<RunningModel> models;
  for (const LoadedEngineInfo& info : pool_.list()) {
    RunningModel model{.name = info.name,
                       .digest = {},
                       .plan = info.plan,
                       .context = info.context,
                       .pinned = info.pinned,
                       .num_requests = info.num_open,
                       .expires = {},
                       .stats = info.stats};
    if (info.expires) {
      model.expires = now + std::chrono::duration_cast<std::chrono::system_clock::duration>(*info.expires - steady_now);
    }
    const std::lock_guard lock(mutex_);
    const auto digest = digests_.find(info.name);
    if (digest != digests_.end()) model.digest = digest->second;
    models.push_back(std::move(model));
  }
  return models;
}

std::vector<OpenRequest> LocalModelService::requests() const {
  std::vector<OpenRequest> requests;
  for (const auto& run : table_.all())
    requests.push_back(run->describe());
  return requests;
}

}  // namespace mlxr
