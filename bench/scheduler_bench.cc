// What FairScheduler costs beside a step: the time of plan() and report() over a paged KV cache, without the engine's
// own part of the step.
//
//   scheduler_bench [Google Benchmark's options]
//
// decode/RUNNING/WAITING: all decode, others wait for a slot, of 50 callers. drafts: each decode with 4 drafts. churn:
// answers of 32 tokens, so that requests end and start all the time. flood: no slot is free for a queue of one caller
// each.

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "core/base/check.h"
#include "core/runtime/kv/paged_kv.h"
#include "daemon/scheduler/fair_scheduler.h"

namespace mlxr {
namespace {

constexpr std::int64_t kPromptTokens = 500;

// Ids count from 0 and are kept in one vector.
class BenchLedger final : public KvLedger {
 public:
  explicit BenchLedger(PagedKvOptions options) : kv_(std::move(options)) {}

  std::int64_t total_blocks() const override { return kv_.total_blocks(); }
  std::int64_t free_blocks() const override { return kv_.free_blocks(); }
  std::int64_t blocks_for(std::int64_t tokens) const override {
    return (tokens + kv_.block_tokens() - 1) / kv_.block_tokens();
  }
  std::optional<std::int64_t> open(RequestId id) override {
    if (id >= sequences_.size()) sequences_.resize(id + 1, -1);
    sequences_[id] = kv_.open().value();
    return 0;
  }
  std::int64_t context(RequestId id) const override { return kv_.committed(sequences_[id]); }
  bool reserve(RequestId id, std::int64_t tokens) override { return kv_.reserve(sequences_[id], tokens).ok(); }
  void release(RequestId id) override { kv_.close(sequences_[id]); }
  std::optional<std::uint64_t> swap_bytes(RequestId) const override { return std::nullopt; }
  bool swap_out(RequestId) override { return false; }
  std::int64_t swapped_blocks(RequestId) const override { return 0; }
  bool swap_in(RequestId) override { return false; }

  void run(RequestId id, std::int64_t count, std::int64_t kept) {
    tokens_.assign(static_cast<std::size_t>(kept), static_cast<std::int32_t>(id));
    const std::int64_t before = kv_.committed(sequences_[id]);
    MLXR_CHECK(kv_.extend(sequences_[id], count).ok(), "room was reserved");
    kv_.truncate(sequences_[id], before + kept);
    kv_.commit(sequences_[id], tokens_);
  }

 private:
  PagedKv kv_;
  std::vector<SequenceId> sequences_;
  std::vector<std::int32_t> tokens_;
};

PagedKvOptions kv_options(std::int64_t running) {
  PagedKvOptions options;
  options.groups = {{.num_blocks = running * 256}};
  options.block_tokens = 32;
  options.max_length = 8192;
  options.max_sequences = running;
  return options;
}

struct LoadOptions {
  std::int64_t running = 64;
  std::int64_t waiting = 0;
  std::int64_t num_callers = 50;
  std::int64_t answer_tokens = 1 << 20;  // those that reach 6,000 start anew
  std::int64_t drafts = 0;
};

class Load {
 public:
  explicit Load(const LoadOptions& options) : options_(options), ledger_(kv_options(options.running)) {
    SchedulerOptions scheduler_options;
    scheduler_options.max_running = options.running;
    scheduler_options.max_queued_requests = 1 << 20;
    scheduler_options.max_queued_prompt_tokens = std::int64_t{1} << 40;
    scheduler_ = FairScheduler::create(scheduler_options).value();
  }

  // The seconds that plan() and report() took.
  double step() {
    while (scheduler_->stats().waiting + scheduler_->stats().running < options_.running + options_.waiting)
      submit();
    const auto start = std::chrono::steady_clock::now();
    const StepPlan& plan = scheduler_->plan(now_, ledger_);
    const auto planned = std::chrono::steady_clock::now();
    report_.outcomes.clear();
    done_.clear();
    for (const StepPiece& piece : plan.pieces) {
      const std::int64_t drafts = piece.draft_tokens / 2;
      ledger_.run(piece.id, piece.num_tokens + piece.draft_tokens, piece.num_tokens + drafts);
      report_.outcomes.push_back({piece.id, piece.num_tokens + drafts, piece.samples ? drafts + 1 : 0});
      if (ledger_.context(piece.id) >= std::min<std::int64_t>(6000, kPromptTokens + options_.answer_tokens))
        done_.push_back(piece.id);
    }
    report_.duration = std::chrono::milliseconds(20);
    now_ += report_.duration;
    const auto ran = std::chrono::steady_clock::now();
    scheduler_->report(report_);
    const auto reported = std::chrono::steady_clock::now();
    for (const RequestId id : done_) {
      scheduler_->finish(id);
      ledger_.release(id);
    }
    return std::chrono::duration<double>((planned - start) + (reported - ran)).count();
  }

 private:
  void submit() {
    const RequestId id = next_id_++;
    const std::string caller = std::to_string(static_cast<std::int64_t>(id) % options_.num_callers);
    const Status status = scheduler_->submit(
        {.id = id, .caller_key = caller, .prompt_tokens = kPromptTokens, .arrival = now_, .deadline = {}});
    MLXR_CHECK(status.ok(), "the queue has room");
    scheduler_->want_drafts(id, options_.drafts);
  }

  LoadOptions options_;
  BenchLedger ledger_;
  std::unique_ptr<FairScheduler> scheduler_;
  StepReport report_;
  std::vector<RequestId> done_;
  TimePoint now_;
  RequestId next_id_ = 0;
};

void run(benchmark::State& state, const LoadOptions& options) {
  Load load(options);
  for (int i = 0; i < 200; ++i)
    load.step();
  for (auto _ : state)
    state.SetIterationTime(load.step());
}

void register_load(const std::string& name, const LoadOptions& options) {
  benchmark::RegisterBenchmark(name.c_str(), [options](benchmark::State& state) { run(state, options); })
      ->UseManualTime()
      ->Unit(benchmark::kMicrosecond)
      ->Iterations(20000);
}

}  // namespace
}  // namespace mlxr

int main(int argc, char** argv) {
  using mlxr::register_load;
  for (const std::int64_t running : {1, 16, 64, 256})
    for (const std::int64_t waiting : {0, 1000})
      register_load("decode/" + std::to_string(running) + "/" + std::to_string(waiting),
                    {.running = running, .waiting = waiting});
  register_load("drafts/64", {.drafts = 4});
  register_load("churn/64", {.waiting = 1000, .answer_tokens = 32});
  register_load("flood/64/4000", {.waiting = 4000, .num_callers = 4000, .answer_tokens = 32});
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
