#pragma once
// How a ModelService comes about: what it is given, what it tells those who count and trace, and the factory.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/runtime/engine/engine_pool.h"
#include "daemon/scheduler/scheduler_options.h"
#include "daemon/service/model_service.h"

namespace mlxr {

// A model as a name stands for it: a file, and what a Modelfile or a settings file says about it. What is absent or
// empty comes from the file or the settings.
struct ResolvedModel {
  std::string name;                           // canonical; two with one name are the same model
  std::string path;                           // as resolve_model gives it
  std::string digest = {};                    // for reports
  std::string chat_template = {};             // Jinja, instead of the file's own
  std::string system = {};                    // for conversations that bring no system message
  nlohmann::ordered_json messages = nullptr;  // put before each conversation, behind the system message
  SamplingOverrides sampling = {};
  std::vector<std::string> stop = {};
  std::optional<std::int64_t> context = {};
  std::optional<std::int64_t> max_tokens = {};
  std::optional<std::chrono::milliseconds> keep_alive = {};
  std::string draft_path = {};  // a model that proposes tokens
};

// Any thread, at the same time too. kNotFound: no such model.
using ModelResolver = std::function<Result<ResolvedModel>(const std::string& name)>;
// Paths and the names of core/runtime/model_path.h.
Result<ResolvedModel> resolve_by_path(const std::string& name);

// One request, as those who count see it.
struct RequestFacts {
  std::string id;
  std::string kind;   // generate, embed, rerank, load
  std::string model;  // canonical once it is resolved, as asked for before
  std::string dialect;
  std::string caller_key;
  int num_choices = 1;
  std::int64_t max_tokens = -1;
};

struct RequestOutcome {
  Status status;  // ok() when it was answered
  AnswerFailed::Kind kind = AnswerFailed::Kind::kOther;
  std::vector<FinishReason> finish_reasons;  // of the choices
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_tokens = 0;
  std::int64_t generated_tokens = 0;
  std::int64_t reasoning_tokens = 0;
  std::int64_t num_tool_calls = 0;
  std::int64_t num_preemptions = 0;
  std::int64_t draft_tokens = 0;
  std::int64_t accepted_tokens = 0;
  AnswerTimings timings;
  double first_token_ms = -1.0;  // from the arrival; -1: none came
};

// Called on the service's threads, in the order of the fields for one request, and for different requests at the same
// time. Must not block. Each may be empty.
struct ServiceObserver {
  std::function<void(const RequestFacts&)> received = {};
  std::function<void(const RequestFacts&, double load_ms)> model_ready = {};           // after a load or at once
  std::function<void(const RequestFacts&, std::int64_t prompt_tokens)> queued = {};    // the engine has it
  std::function<void(const RequestFacts&, std::int64_t cached_tokens)> admitted = {};  // its first step is planned
  std::function<void(const RequestFacts&, const PrefillProgress&)> prefill = {};
  std::function<void(const RequestFacts&)> first_token = {};
  std::function<void(const RequestFacts&, int choice, std::int64_t num_tokens)> tokens = {};  // after each step
  std::function<void(const RequestFacts&, const RequestOutcome&)> finished = {};
  // Not of a request.
  std::function<void(const std::string& model, double load_ms, const Status&)> loaded = {};
};

struct ServiceDependencies {
  EnginePool::Options pool = {};
  SchedulerOptions scheduler = {};
  EngineOptions engine = {};  // context, KV type, speculation, ... of models that say nothing themselves
  ModelOptions model = {};
  std::chrono::milliseconds keep_alive = std::chrono::minutes(5);  // negative: for ever
  // How long a model waits for others that are in use, when it would fit without them.
  std::chrono::milliseconds room_wait = std::chrono::seconds(10);
  ModelResolver resolve = {};  // empty: resolve_by_path
  ServiceObserver observer = {};
  std::size_t max_open_requests = 4096;  // more are refused with kQueueFull
};

// Ends the open requests with kCancelled and unloads everything when it is destroyed.
std::unique_ptr<ModelService> make_model_service(ServiceDependencies dependencies);

}  // namespace mlxr
