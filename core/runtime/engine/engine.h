#pragma once
// Engine: one model that answers many requests at once. It owns the model, the paged KV cache, the store of prefixes on
// disk and a thread, which makes all calls on them:
//
//   take new requests -> plan (Scheduler) -> run the batch (StepRunner) -> sample and tell (Task) -> again
//
// Tokens and log probabilities of a request are the same bits alone or among others, however it is cut into chunks,
// preempted, or found in the cache: kernels give a row the same bits in every batch, and a sampler uses nothing but its
// own request.
//
// Threads: submit calls, stats() and drain() from any thread. Errors of one request end that request with a
// FailedEvent; the thread goes on.

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/runtime/engine/request.h"
#include "core/runtime/engine/response_stream.h"
#include "core/runtime/engine/scheduler.h"
#include "core/runtime/kv/block_store.h"
#include "core/runtime/kv/paged_kv.h"
#include "core/runtime/loaded_model.h"

namespace mlxr {

struct EngineOptions {
  std::int64_t context = 0;             // tokens of a sequence; 0: the model's, at most kDefaultMaxContext
  std::int64_t kv_tokens = 0;           // of all sequences together; 0: kDefaultKvSequences times the context
  std::int64_t block_tokens = 32;       // 16, 32 or 64
  std::string kv_type = "auto";         // as ModelOptions::kv_type
  std::int64_t max_sequences = 64;      // in memory at once
  std::int64_t swap_tokens = 0;         // of preempted sequences, kept in host memory
  std::size_t max_new_requests = 4096;  // submitted and not yet seen by the engine thread

  // Reads all weights at the start, so that the first request does not wait for the disk, and memory in use is what was
  // planned from then on.
  bool prefault = true;

  // Tokens that the text itself suggests, and those of `draft_path` (a model of the same vocabulary), are verified
  // several at a time where that pays; answers do not change.
  bool speculate = true;
  std::string draft_path = {};
  std::int64_t max_draft_tokens = 16;  // a sequence in a step

  // Prefixes survive a restart, in `store_folder`; when that is empty, in the user's cache folder, without which (or
  // where it cannot be written) there is a warning and nothing is kept.
  bool keep_prefixes = true;
  std::string store_folder = {};
  std::uint64_t store_max_bytes = std::uint64_t{8} << 30;
  std::string store_key_file = {};  // not empty: files are encrypted
  std::function<void(const std::string&)> warn = {};
  // The share of the weights that is in memory, while they are read at the start (prefault). On the loading thread.
  std::function<void(double)> on_progress = {};

  Status validate() const;
};

inline constexpr std::int64_t kDefaultKvSequences = 8;

struct EngineStats {
  SchedulerStats scheduler;
  KvStats kv;
  BlockStoreStats store;
  std::uint64_t num_steps = 0;
  std::uint64_t computed_tokens = 0;  // rows of all steps
  std::uint64_t generated_tokens = 0;
  std::uint64_t draft_tokens = 0;           // proposed
  std::uint64_t accepted_tokens = 0;        // of those
  double step_ms = 0.0;                     // time in steps
  double proposal_ms = 0.0;                 // time spent on proposing tokens, draft model included
  double overhead_ms = 0.0;                 // the rest: planning, sampling, telling
  std::optional<TimePoint> last_step = {};  // when it ended
};

class Engine {
 public:
  // `model` was opened without a cache of its own. Fails when the cache does not fit into memory or an option makes no
  // sense.
  static Result<std::unique_ptr<Engine>> start(std::unique_ptr<LoadedModel> model, std::unique_ptr<Scheduler> scheduler,
                                               const EngineOptions& options);
  // Fails what is unfinished, writes what the store has queued.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // kInvalidArgument names the field; kResourceExhausted: the prompt is longer than the context, or too many requests
  // wait; kCancelled: the engine is draining. What the scheduler refuses later comes as a FailedEvent.
  Result<std::shared_ptr<ResponseStream>> generate(GenerateRequest request);
  Result<std::shared_ptr<ResponseStream>> embed(EmbedRequest request);

  // Takes no more requests and returns when those it has are over.
  void drain();
  EngineStats stats() const;
  // Requests that have not ended.
  std::int64_t num_open() const;

  const LoadedModel& model() const { return *model_; }
  std::int64_t context() const { return context_; }

 private:
  struct Inbox;
  class Loop;
  Engine(std::unique_ptr<LoadedModel> model, std::int64_t context);

  template <class Request>
  Result<std::shared_ptr<ResponseStream>> submit(Request request);
  Status check(const GenerateRequest& request) const;
  Status check_tokens(std::span<const TokenId> tokens, const char* what) const;
  Status check_origin(const RequestOrigin& origin) const;

  std::unique_ptr<LoadedModel> model_;
  std::int64_t context_;
  std::shared_ptr<Inbox> inbox_;  // streams hold it too, to wake the thread
  std::unique_ptr<Loop> loop_;
  std::thread thread_;
};

}  // namespace mlxr
