#include "core/runtime/engine/engine.h"

#include <algorithm>
#include <cmath>

#include <fmt/core.h>

#include "core/base/mapped_file.h"
#include "core/runtime/engine/engine_loop.h"
#include "core/runtime/engine/kv_sizing.h"
#include "core/runtime/model_fingerprint.h"
#include "core/runtime/user_folders.h"

namespace mlxr {
namespace {

constexpr int kMaxChoices = 128;
constexpr int kMaxTopLogprobs = 1024;
constexpr std::size_t kMaxStopStrings = 256;

Status check_range(const char* field, std::int64_t value, std::int64_t low, std::int64_t high) {
  if (value >= low && value <= high) return {};
  return invalid_argument(fmt::format("{} is {}, but must be from {} to {}", field, value, low, high));
}

// nullptr: nothing is kept.
Result<std::unique_ptr<BlockStore>> open_store(const EngineOptions& options, const std::string& fingerprint) {
  if (!options.keep_prefixes) return std::unique_ptr<BlockStore>();
  BlockStoreOptions store{.folder = options.store_folder,
                          .fingerprint = fingerprint,
                          .max_bytes = options.store_max_bytes,
                          .key_file = options.store_key_file,
                          .warn = options.warn};
  if (!store.folder.empty()) return BlockStore::open(std::move(store));
  Status trouble = not_found("the environment names no home");
  if (const auto cache = user_cache_folder()) {
    store.folder = *cache + "/prefixes";
    Result<std::unique_ptr<BlockStore>> opened = BlockStore::open(std::move(store));
    if (opened.ok()) return opened;
    trouble = opened.status();
  }
  if (options.warn) options.warn("prefixes are not kept: " + trouble.message());
  return std::unique_ptr<BlockStore>();
}

}  // namespace

Status EngineOptions::validate() const {
  constexpr std::int64_t kMany = std::int64_t{1} << 40;
  MLXR_RETURN_IF_ERROR(check_range("context", context, 0, kMany));
  MLXR_RETURN_IF_ERROR(check_range("kv_tokens", kv_tokens, 0, kMany));
  MLXR_RETURN_IF_ERROR(check_range("max_sequences", max_sequences, 1, 65536));
  MLXR_RETURN_IF_ERROR(check_range("swap_tokens", swap_tokens, 0, kMany));
  MLXR_RETURN_IF_ERROR(check_range("max_draft_tokens", max_draft_tokens, 1, 64));
  if (block_tokens != 16 && block_tokens != 32 && block_tokens != 64) {
    return invalid_argument(fmt::format("block_tokens is {}, but must be 16, 32 or 64", block_tokens));
  }
  return {};
}

Engine::Engine(std::unique_ptr<LoadedModel> model, std::int64_t context)
    : model_(std::move(model)), context_(context), inbox_(std::make_shared<Inbox>()) {}

Result<std::unique_ptr<Engine>> Engine::start(std::unique_ptr<LoadedModel> model, std::unique_ptr<Scheduler> scheduler,
                                              const EngineOptions& options) {
  MLXR_RETURN_IF_ERROR(options.validate());
  MLXR_ASSIGN_OR_RETURN(KvSizing sizing, size_kv(*model, options));
  MLXR_ASSIGN_OR_RETURN(std::unique_ptr<KvStorage> storage, model->backend().make_kv_storage(sizing.layout));
  const std::string fingerprint = model_fingerprint(model->source()) + " " + storage->fingerprint();
  MLXR_ASSIGN_OR_RETURN(std::unique_ptr<BlockStore> store, open_store(options, fingerprint));
  if (options.prefault) {
    const auto total = static_cast<double>(std::max<std::size_t>(model->weight_bytes(), 1));
    std::size_t done = 0;
    for (const WeightTensor& tensor : model->source().tensors()) {
      prefault(tensor.bytes);
      done += tensor.bytes.size();
      if (options.on_progress) options.on_progress(static_cast<double>(done) / total);
    }
  }

  std::unique_ptr<DraftEngine> draft;
  if (options.speculate && !options.draft_path.empty()) {
    MLXR_ASSIGN_OR_RETURN(draft,
                          DraftEngine::open(*model, {.path = options.draft_path,
                                                     .context = sizing.context,
                                                     .max_sequences = options.max_sequences,
                                                     .kv_tokens = sizing.layout.num_blocks[0] * options.block_tokens,
                                                     .kv_type = options.kv_type}));
  }

  std::unique_ptr<Engine> engine(new Engine(std::move(model), sizing.context));
  engine->inbox_->max_requests = options.max_new_requests;
  engine->loop_ = std::make_unique<Loop>(Loop::Parts{.model = *engine->model_,
                                                     .inbox = engine->inbox_,
                                                     .scheduler = std::move(scheduler),
                                                     .storage = std::move(storage),
                                                     .cache = std::make_unique<PagedKv>(std::move(sizing.paging)),
                                                     .store = std::move(store),
                                                     .fingerprint = fingerprint,
                                                     .context = engine->context_,
                                                     .draft = std::move(draft),
                                                     .speculate = options.speculate,
                                                     .max_draft_tokens = options.max_draft_tokens});
  engine->thread_ = std::thread([loop = engine->loop_.get()] { loop->run(); });
  return engine;
}

Engine::~Engine() {
  {
    const std::lock_guard lock(inbox_->mutex);
    inbox_->stopping = true;
  }
  inbox_->wake.notify_one();
  if (thread_.joinable()) thread_.join();
}

Status Engine::check_tokens(std::span<const TokenId> tokens, const char* what) const {
  if (tokens.empty()) return invalid_argument(fmt::format("{} is empty", what));
  const auto length = static_cast<std::int64_t>(tokens.size());
  if (length >= context_) {
    return resource_exhausted(
        fmt::format("{} of {} tokens does not fit into the context of {}", what, length, context_));
  }
  const std::int64_t vocab = model_->model().config().vocab_size;
  const auto outside =
      std::find_if(tokens.begin(), tokens.end(), [vocab](TokenId id) { return id < 0 || id >= vocab; });
  if (outside != tokens.end()) {
    return invalid_argument(fmt::format("token id {} of {} is outside the vocabulary of {}", *outside, what, vocab));
  }
  return {};
}

Status Engine::check_origin(const RequestOrigin& origin) const {
  return check_range("priority", origin.priority, -kMaxPriority, kMaxPriority);
}

Status Engine::check(const GenerateRequest& request) const {
  MLXR_RETURN_IF_ERROR(check_tokens(request.prompt, "the prompt"));
  MLXR_RETURN_IF_ERROR(check_origin(request.origin));
  MLXR_RETURN_IF_ERROR(request.sampling.validate(static_cast<std::size_t>(model_->model().config().vocab_size)));
  MLXR_RETURN_IF_ERROR(check_range("n", request.n, 1, kMaxChoices));
  if (request.best_of != 0) MLXR_RETURN_IF_ERROR(check_range("best_of", request.best_of, request.n, kMaxChoices));
  MLXR_RETURN_IF_ERROR(check_range("max_tokens", request.max_tokens, -1, std::int64_t{1} << 40));
  MLXR_RETURN_IF_ERROR(check_range("top_logprobs", request.top_logprobs, 0, kMaxTopLogprobs));
  MLXR_RETURN_IF_ERROR(
      check_range("the number of stop strings", static_cast<std::int64_t>(request.stop.size()), 0, kMaxStopStrings));
  MLXR_RETURN_IF_ERROR(check_range("the number of stop tokens", static_cast<std::int64_t>(request.stop_tokens.size()),
                                   0, kMaxStopStrings));
  if (request.reasoning.max_tokens >= 0 && (model_->tokenizer() == nullptr || request.reasoning.closing.empty())) {
    return unsupported("a limit of reasoning needs a tokenizer and the tokens that end reasoning");
  }
  if (!request.stop.empty() && model_->tokenizer() == nullptr) {
    return unsupported("stop strings need a tokenizer, and the model was loaded without one");
  }
  if (request.grammar && model_->tokenizer() == nullptr) {
    return unsupported("a grammar needs a tokenizer, and the model was loaded without one");
  }
  return {};
}

Result<std::shared_ptr<ResponseStream>> Engine::generate(GenerateRequest request) {
  MLXR_RETURN_IF_ERROR(check(request));
  return submit(std::make_shared<const GenerateRequest>(std::move(request)));
}

Result<std::shared_ptr<ResponseStream>> Engine::embed(EmbedRequest request) {
  if (request.inputs.empty()) return invalid_argument("there is no input to embed");
  MLXR_RETURN_IF_ERROR(check_origin(request.origin));
  for (std::size_t i = 0; i < request.inputs.size(); ++i)
    MLXR_RETURN_IF_ERROR(check_tokens(request.inputs[i], fmt::format("input {}", i).c_str()));
  return submit(std::move(request));
}

template <class Request>
Result<std::shared_ptr<ResponseStream>> Engine::submit(Request request) {
  auto stream = std::make_shared<ResponseStream>([inbox = inbox_] { inbox->notify(); });
  {
    const std::lock_guard lock(inbox_->mutex);
    if (inbox_->draining || inbox_->stopping)
      return cancelled("the engine takes no more requests: it is shutting down");
    if (inbox_->requests.size() >= inbox_->max_requests) {
      return resource_exhausted(
          fmt::format("{} requests have not been looked at yet, which is the limit", inbox_->requests.size()));
    }
    inbox_->requests.push_back(
        {.stream = stream, .request = std::move(request), .submitted = std::chrono::steady_clock::now()});
    ++inbox_->num_open;
  }
  inbox_->wake.notify_one();
  return stream;
}

void Engine::drain() {
  std::unique_lock lock(inbox_->mutex);
  inbox_->draining = true;
  inbox_->idle.wait(lock, [this] { return inbox_->num_open == 0; });
}

EngineStats Engine::stats() const {
  const std::lock_guard lock(inbox_->mutex);
  return inbox_->stats;
}

std::int64_t Engine::num_open() const {
  const std::lock_guard lock(inbox_->mutex);
  return inbox_->num_open;
}

}  // namespace mlxr
