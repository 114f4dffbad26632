// Random loads on FairScheduler. StepDriver checks every plan: limits, reserved room, blocks conserved, no decode left
// out, every request ends once. MLXR_SCHEDULER_SEEDS=N runs N seeds instead of a few.

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "daemon/scheduler/scheduler_test_engine.h"
#include "daemon/scheduler/scheduler_test_paged_ledger.h"

namespace mlxr {
namespace {

std::uint32_t num_seeds(std::uint32_t usual) {
  const char* text = std::getenv("MLXR_SCHEDULER_SEEDS");
  return text == nullptr ? usual : static_cast<std::uint32_t>(std::atoi(text));
}

class Load {
 public:
  enum class Memory { kCounting, kPaged };

  Load(std::uint32_t seed, Memory memory) : random_(seed), ledger_(make_ledger(memory)), driver_(options(), *ledger_) {
    num_callers_ = between(1, 6);
    arrivals_per_100_steps_ = pick({5, 30, 100, 300});
    longest_prompt_ = pick({20, 200, 2000, memory == Memory::kPaged ? 500 : 10000});
    longest_answer_ = pick({3, 100, 600});
    driver_.accepted = [this](const StepPiece& piece) { return between(0, piece.draft_tokens); };
  }

  void run(std::int64_t num_steps) {
    for (std::int64_t i = 0; i < num_steps && !::testing::Test::HasFatalFailure(); ++i) {
      for (std::int64_t n = arrivals(); n > 0; --n)
        submit();
      if (between(0, 19) == 0) cancel_one();
      if (between(0, 3) == 0) want_drafts();
      driver_.step();
    }
  }

  // Everything that is left ends: nothing waits for ever. A step computes at least one token that is not lost, unless a
  // preemption made room for another.
  void drain() {
    std::int64_t tokens = 0;
    for (const auto& [id, run] : driver_.runs())
      if (run.ending == Ending::kNone) tokens += run.request.prompt_tokens + run.answer_tokens;
    driver_.drain(1000 + 20 * tokens);
    EXPECT_EQ(ledger_->free_blocks(), ledger_->total_blocks());
    EXPECT_EQ(ledger_->num_held(), 0);
    const SchedulerStats& stats = driver_.scheduler().stats();
    EXPECT_EQ(stats.num_submitted, stats.num_finished + stats.num_cancelled + stats.num_expired + stats.num_failed);
    EXPECT_EQ(stats.waiting, 0);
    EXPECT_EQ(stats.waiting_prompt_tokens, 0);
    EXPECT_EQ(stats.swapped, 0);
    EXPECT_FALSE(driver_.step());
    for (const auto& [id, run] : driver_.runs()) {
      EXPECT_TRUE(run.ending != Ending::kFinished || run.generated() >= run.answer_tokens);
      // Only what is larger than all memory fails.
      EXPECT_TRUE(run.ending != Ending::kFailed || ledger_->blocks_for(run.length) > ledger_->total_blocks());
    }
  }

  StepDriver& driver() { return driver_; }

 private:
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(high - low + 1));
  }
  std::int64_t pick(std::initializer_list<std::int64_t> values) {
    return *(values.begin() + between(0, static_cast<std::int64_t>(values.size()) - 1));
  }
  // Many short ones and a few long ones.
  std::int64_t skewed(std::int64_t longest) {
    return std::max(std::int64_t{1}, between(1, longest) * between(1, 100) / 100);
  }

  std::unique_ptr<TestLedger> make_ledger(Memory memory) {
    const std::int64_t blocks = skewed(400) + 3;
    const std::int64_t block_tokens = pick({16, 32, 64});
    const std::int64_t max_sequences = pick({1000, 1000, 3});
    const std::int64_t host_blocks = pick({0, 20, 1000});
    if (memory == Memory::kPaged) {
      PagedKvOptions options;
      options.groups = {{.num_blocks = blocks}};
      options.block_tokens = block_tokens;
      options.max_length = 1 << 20;
      options.max_sequences = max_sequences;
      options.swap_blocks = host_blocks;
      return std::make_unique<PagedLedger>(options, pick({0, 100, 1000}));
    }
    auto ledger = std::make_unique<CountingLedger>(blocks, block_tokens);
    ledger->max_sequences = max_sequences;
    ledger->host_blocks = host_blocks;
    counting_ = ledger.get();
    return ledger;
  }

  SchedulerOptions options() {
    SchedulerOptions options;
    options.max_running = pick({1, 2, 8, 64});
    options.min_prefill_tokens = pick({1, 8, 32});
    options.max_step_tokens = options.max_running + options.min_prefill_tokens + pick({0, 10, 500, 4000});
    options.target_latency_ms = static_cast<double>(pick({1, 20, 100}));
    options.prefill_latency_ms = static_cast<double>(pick({1, 1000}));
    options.max_queued_requests = pick({5, 100, 10000});
    options.max_queued_prompt_tokens = pick({5000, 1 << 24});
    options.watermark = static_cast<double>(pick({0, 0, 1, 20})) / 100;
    options.headroom_tokens = pick({0, 0, 32, 200});
    options.aging_ms = static_cast<double>(pick({10, 10000}));
    options.min_swap_tokens = pick({0, 100});
    options.fairness_quantum = static_cast<double>(pick({1, 512}));
    return options;
  }

  std::int64_t arrivals() {
    std::int64_t count = arrivals_per_100_steps_ / 100;
    return count + (between(0, 99) < arrivals_per_100_steps_ % 100 ? 1 : 0);
  }

  void submit() {
    StepDriver::Wish wish{.caller_key = std::string(1, static_cast<char>('a' + between(0, num_callers_ - 1))),
                          .prompt_tokens = skewed(longest_prompt_),
                          .answer_tokens = skewed(longest_answer_),
                          .tells_max_tokens = between(0, 1) == 0};
    if (between(0, 9) == 0) wish.priority = static_cast<int>(between(-2, 2));
    if (between(0, 9) == 0) wish.deadline = std::chrono::milliseconds(between(1, 5000));
    const RequestId id = driver_.submit(wish);
    if (counting_ != nullptr && id != 0 && between(0, 4) == 0)
      counting_->prefixes[id] = between(0, wish.prompt_tokens - 1);
  }

  RequestId random_live() {
    std::vector<RequestId> live;
    for (auto run = driver_.runs().rbegin(); run != driver_.runs().rend() && live.size() < 40; ++run)
      if (run->second.ending == Ending::kNone) live.push_back(run->first);
    return live.empty() ? 0 : live[static_cast<std::size_t>(between(0, static_cast<std::int64_t>(live.size()) - 1))];
  }
  void cancel_one() {
    const RequestId id = random_live();
    if (id != 0) driver_.cancel(id);
  }
  void want_drafts() {
    const RequestId id = random_live();
    if (id != 0) driver_.want_drafts(id, between(0, 8));
  }

  std::mt19937_64 random_;
  CountingLedger* counting_ = nullptr;
  std::unique_ptr<TestLedger> ledger_;
  StepDriver driver_;
  std::int64_t num_callers_ = 1;
  std::int64_t arrivals_per_100_steps_ = 0;
  std::int64_t longest_prompt_ = 0;
  std::int64_t longest_answer_ = 0;
};

void run_loads(Load::Memory memory, std::uint32_t seeds) {
  std::uint64_t preempted = 0;
  std::uint64_t swapped = 0;
  for (std::uint32_t seed = 1; seed <= seeds && !::testing::Test::HasFatalFailure(); ++seed) {
    SCOPED_TRACE(seed);
    Load load(seed, memory);
    load.run(300);
    load.drain();
    preempted += load.driver().scheduler().stats().num_preempted;
    swapped += load.driver().scheduler().stats().num_swapped_out;
  }
  // The loads reach what they are meant to reach.
  EXPECT_GT(preempted, seeds / 4);
  EXPECT_GT(swapped, seeds / 20);
}

TEST(FairSchedulerSimulation, RandomLoads) {
  run_loads(Load::Memory::kCounting, num_seeds(50));
}

TEST(FairSchedulerSimulation, RandomLoadsOnPagedKv) {
  run_loads(Load::Memory::kPaged, num_seeds(12));
}

// Callers for whom something always waits: their service differs by the bound of the paper at most, at any time.
TEST(FairSchedulerSimulation, ServiceOfBackloggedCallersStaysClose) {
  for (std::uint32_t seed = 1; seed <= num_seeds(4) && !HasFatalFailure(); ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    constexpr std::int64_t kLongestPrompt = 400;
    const std::int64_t blocks = 60 + static_cast<std::int64_t>(random() % 200);
    CountingLedger ledger(blocks, 16);
    StepDriver driver({.max_running = 8, .caller_weights = {{"b", 2}}}, ledger);
    const double bound = 2 * std::max<double>(kLongestPrompt, 2 * static_cast<double>(blocks) * 16);
    double widest = 0;
    for (int step = 0; step < 1500; ++step) {
      for (const char* caller : {"a", "b", "c"}) {
        // Each has its own kind of load: long answers, long prompts, either.
        while (driver.scheduler().caller_stats(caller).waiting < 3) {
          const bool prompts = *caller == 'b' || (*caller == 'c' && random() % 2 == 0);
          driver.submit({.caller_key = caller,
                         .prompt_tokens = 1 + static_cast<std::int64_t>(random() % (prompts ? kLongestPrompt : 20)),
                         .answer_tokens = 1 + static_cast<std::int64_t>(random() % (prompts ? 10 : 200))});
        }
      }
      driver.step();
      double low = 1e18;
      double high = 0;
      for (const char* caller : {"a", "b", "c"}) {
        low = std::min(low, driver.scheduler().caller_stats(caller).service);
        high = std::max(high, driver.scheduler().caller_stats(caller).service);
      }
      widest = std::max(widest, high - low);
    }
    EXPECT_LE(widest, bound);
    // Long after the start the difference is still what it was: the shares are even.
    EXPECT_GT(driver.scheduler().caller_stats("a").service, 2 * widest);
  }
}

// A caller with one request at a time beside one that floods the queue: its wait does not grow with the flood.
TEST(FairSchedulerSimulation, AFloodDoesNotDelayOthers) {
  for (const int flood : {10, 1000}) {
    CountingLedger ledger(300, 16);
    StepDriver driver({.max_running = 8}, ledger);
    std::mt19937 random(9);
    RequestId single = 0;
    std::map<RequestId, std::int64_t> waited;
    for (int step = 0; step < 1500; ++step) {
      while (driver.scheduler().caller_stats("flood").waiting < flood)
        driver.submit({.caller_key = "flood",
                       .prompt_tokens = 1 + static_cast<std::int64_t>(random() % 500),
                       .answer_tokens = 1 + static_cast<std::int64_t>(random() % 60)});
      if (single == 0 || driver.run(single).ending == Ending::kFinished)
        single = driver.submit({.caller_key = "single", .prompt_tokens = 50, .answer_tokens = 5});
      driver.step();
      if (driver.run(single).admitted_step < 0) ++waited[single];
    }
    std::int64_t most = 0;
    for (const auto& [id, steps] : waited)
      most = std::max(most, steps);
    // Eight answers of 60 tokens at most run: a slot comes free within 60 steps, memory within as many again.
    EXPECT_LT(most, 120) << flood;
  }
}

}  // namespace
}  // namespace mlxr
