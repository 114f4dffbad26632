#pragma once
// ModelService: everything the daemon does with models, without a word of HTTP. It finds a model by name, plans and
// loads it, renders and tokenizes, runs requests on its engine, and turns what the model writes into text, reasoning
// and tool calls. Dialects stand on it and on nothing below.
//
// Threads: all calls from any thread. generate(), embed(), rerank() and load() return at once: what takes time (a load,
// a long prompt's tokens) happens on threads of the service, and shows in the stream. Calls that say so may wait.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/runtime/engine/engine.h"
#include "core/runtime/engine/memory_plan.h"
#include "daemon/service/answer_stream.h"
#include "daemon/service/generate_call.h"

namespace mlxr {

struct RunningModel {
  std::string name;
  std::string digest;
  MemoryPlan plan;
  std::int64_t context = 0;
  bool pinned = false;
  std::int64_t num_requests = 0;
  std::optional<std::chrono::system_clock::time_point> expires = {};
  EngineStats stats = {};
};

// What a model can do, as its files say.
struct ModelAbilities {
  bool completion = true;
  bool chat = false;  // has a chat template
  bool tools = false;
  bool thinking = false;
  bool insert = false;     // fill in the middle
  bool embedding = false;  // made for it (any model can be asked)
};

struct OpenRequest {
  std::string id;
  std::string model;
  std::string caller_key;
  std::string dialect;
  std::string state;  // loading, queued, prefill, generating
  std::int64_t prompt_tokens = 0;
  std::int64_t generated_tokens = 0;
  double age_ms = 0.0;
};

struct ProbeReport {
  std::string model;
  bool ok = false;
  std::string message;             // of a failure
  double probe_ms = 0.0;           // one token, queue included
  double last_step_age_ms = -1.0;  // -1: no step yet
};

class ModelService {
 public:
  virtual ~ModelService() = default;

  virtual std::shared_ptr<AnswerStream> generate(GenerateCall call) = 0;
  virtual std::shared_ptr<AnswerStream> embed(EmbedCall call) = 0;
  virtual std::shared_ptr<AnswerStream> rerank(RerankCall call) = 0;
  // Ends with AnswerDone once the model is loaded.
  virtual std::shared_ptr<AnswerStream> load(CallOptions options) = 0;
  // kNotFound when it is not loaded. What it is answering is finished first.
  virtual Status unload(const std::string& model) = 0;
  virtual Status pin(const std::string& model, bool pinned) = 0;
  // kNotFound: no such request is open, or another caller's. An empty caller_key may cancel all.
  virtual Status cancel(const std::string& request_id, const std::string& caller_key) = 0;

  virtual std::vector<RunningModel> running() const = 0;
  virtual std::vector<OpenRequest> requests() const = 0;

  // --- these may wait: for a file, a tokenizer, a probe --------------------------------------------------------------

  virtual Result<ModelAbilities> abilities(const std::string& model) = 0;
  struct TokenizeOptions {
    bool add_special = false;
    bool parse_special = true;
  };
  virtual Result<std::vector<TokenId>> tokenize(const std::string& model, const std::string& text,
                                                const TokenizeOptions& options) = 0;
  // The bytes of each token, which need not be valid UTF-8.
  virtual Result<std::vector<std::string>> pieces(const std::string& model, const std::vector<TokenId>& tokens) = 0;
  virtual Result<std::string> detokenize(const std::string& model, const std::vector<TokenId>& tokens) = 0;
  virtual Result<std::string> render(const std::string& model, const ChatInput& input) = 0;
  // Tokens of the prompt that generate() would make.
  virtual Result<std::int64_t> count_tokens(const GenerateCall& call) = 0;
  struct PlanRequest {
    std::string model;         // a name, a path
    std::int64_t context = 0;  // 0: as it would be loaded
    std::string kv_type = {};  // empty: the setting
  };
  struct PlanAnswer {
    MemoryPlan plan;
    std::int64_t context = 0;
    std::uint64_t budget_bytes = 0;
    std::uint64_t in_use_bytes = 0;  // planned for loaded models
    bool fits = false;               // beside what is pinned or answering
    std::vector<std::string> would_unload;
  };
  virtual Result<PlanAnswer> plan(const PlanRequest& request) = 0;
  // One token from each loaded model.
  virtual std::vector<ProbeReport> probe(std::chrono::milliseconds timeout) = 0;
};

}  // namespace mlxr
