// engine_soak [SECONDS] [SEED]: random load on engines that come and go, and every answer is checked.
//
// Clients on several threads send requests whose answers are known, cancel some, give some a deadline; engines are made
// with memory too small for the load, with and without swapping, and are restarted over one folder of kept prefixes,
// whose files are damaged in between, and which refuses to grow for a while. What comes back must be the known tokens
// or a beginning of them; nothing may stay in memory; the books must balance (engines check that when idle).

#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "core/runtime/engine/engine.h"
#include "daemon/scheduler/fair_scheduler.h"
#include "tests/support/paths.h"
#include "tests/support/temp_dir.h"

namespace mlxr {
namespace {

using Clock = std::chrono::steady_clock;

struct Known {
  GenerateRequest request;
  std::vector<TokenId> answer;
};

struct Totals {
  std::atomic<std::int64_t> requests{0}, complete{0}, cancelled{0}, expired{0}, refused{0}, tokens{0}, wrong{0};
  std::int64_t rounds = 0, preemptions = 0, swaps = 0, cached_tokens = 0, damaged = 0, write_errors = 0, left = 0;
};

template <class T>
T value_or_die(Result<T> result) {
  if (!result.ok()) {
    std::fprintf(stderr, "engine_soak: %s\n", result.status().message().c_str());
    std::exit(1);
  }
  return std::move(result).value();
}

std::unique_ptr<Engine> start(EngineOptions engine, const SchedulerOptions& scheduler) {
  engine.keep_prefixes = !engine.store_folder.empty();
  auto model = value_or_die(
      LoadedModel::open(test::fixture("hf/llama"), {.num_threads = 2, .context = engine.context, .own_cache = false}));
  return value_or_die(Engine::start(std::move(model), value_or_die(FairScheduler::create(scheduler)), engine));
}

std::vector<Known> known_requests(std::size_t count) {
  std::mt19937 random(1);
  std::vector<Known> known(count);
  const auto engine = start({.context = 256, .speculate = false}, {});
  for (std::size_t i = 0; i < count; ++i) {
    GenerateRequest& request = known[i].request;
    for (std::size_t t = 0; t < 40 * (i % 4); ++t)
      request.prompt.push_back(static_cast<TokenId>((t * 7 + i % 4) % 60));  // beginnings that many share
    for (std::size_t t = 1 + random() % 50; t > 0; --t)
      request.prompt.push_back(static_cast<TokenId>(random() % 60));
    request.sampling.temperature = i % 2 == 0 ? 0.0F : 1.0F;
    request.sampling.seed = i;
    request.max_tokens = static_cast<std::int64_t>(1 + random() % 40);
    request.ignore_end_of_text = true;
    const auto stream = value_or_die(engine->generate(request));
    known[i].answer = value_or_die(collect(*stream)).choices.at(0).tokens;
  }
  return known;
}

void one_request(Engine& engine, const std::vector<Known>& all, std::mt19937& random, Totals& totals) {
  const Known& known = all[random() % all.size()];
  GenerateRequest request = known.request;
  request.origin.caller_key = "caller " + std::to_string(random() % 3);
  request.origin.cache_salt = random() % 4 == 0 ? "salt" : "";
  request.origin.priority = static_cast<int>(random() % 3);
  request.n = random() % 8 == 0 ? 3 : 1;
  if (random() % 10 == 0) request.origin.deadline = Clock::now() + std::chrono::milliseconds(random() % 40);
  const std::size_t cancel_after = random() % 5 == 0 ? random() % 6 : SIZE_MAX;
  ++totals.requests;
  Result<std::shared_ptr<ResponseStream>> stream = engine.generate(std::move(request));
  if (!stream.ok()) {
    ++totals.refused;
    return;
  }
  std::vector<TokenId> tokens;
  bool done = false;
  for (std::size_t events = 0; std::optional<Event> event = (*stream)->next(); ++events) {
    if (events == cancel_after) (*stream)->cancel();
    if (const auto* delta = std::get_if<DeltaEvent>(&*event); delta != nullptr && delta->choice == 0) {
      tokens.insert(tokens.end(), delta->tokens.begin(), delta->tokens.end());
    }
    if (const auto* failed = std::get_if<FailedEvent>(&*event)) {
      ++(failed->status.code() == StatusCode::kResourceExhausted ? totals.refused : totals.expired);
    }
    done = std::holds_alternative<DoneEvent>(*event);
  }
  totals.tokens += static_cast<std::int64_t>(tokens.size());
  const bool begins =
      tokens.size() <= known.answer.size() && std::equal(tokens.begin(), tokens.end(), known.answer.begin());
  const bool complete = tokens.size() == known.answer.size();
  if (!begins || (done && cancel_after == SIZE_MAX && !complete)) {
    ++totals.wrong;
    std::fprintf(stderr, "engine_soak: %zu tokens of %zu, and not those that are known\n", tokens.size(),
                 known.answer.size());
  }
  ++(complete ? totals.complete : totals.cancelled);
}

// Turns a bit in some of the kept files.
void damage(const std::string& folder, std::mt19937& random) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file() || random() % 10 != 0 || entry.file_size() == 0) continue;
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    const auto at = static_cast<std::streamoff>(random() % entry.file_size());
    file.seekg(at);
    const char byte = static_cast<char>(file.get() ^ (1 << (random() % 8)));
    file.seekp(at);
    file.put(byte);
  }
}

// As on a full disk: files cannot grow.
void limit_files(bool limited) {
  rlimit limit{};
  getrlimit(RLIMIT_FSIZE, &limit);
  limit.rlim_cur = limited ? 1024 : limit.rlim_max;
  setrlimit(RLIMIT_FSIZE, &limit);
}

void run_round(const std::vector<Known>& known, const std::string& folder, std::mt19937& random, Totals& totals) {
  EngineOptions options{.context = 256};
  options.block_tokens = std::int64_t{16} << (random() % 2);
  options.kv_tokens = 288 + 32 * static_cast<std::int64_t>(random() % 20);
  options.swap_tokens = random() % 2 == 0 ? 2048 : 0;
  options.speculate = random() % 4 != 0;
  if (random() % 4 != 0) options.store_folder = folder;
  options.store_max_bytes = random() % 3 == 0 ? 200'000 : 8'000'000;
  SchedulerOptions scheduler;
  scheduler.max_running = 4 + static_cast<std::int64_t>(random() % 12);
  scheduler.max_step_tokens = scheduler.max_running + 1 + static_cast<std::int64_t>(random() % 200);
  scheduler.min_prefill_tokens = 1;
  scheduler.headroom_tokens = 0;
  scheduler.watermark = 0.0;
  scheduler.min_swap_tokens = 0;
  scheduler.swap_bytes_per_ms = 1e15;
  limit_files(random() % 3 == 0);
  const auto engine = start(options, scheduler);
  std::vector<std::thread> clients;
  for (int c = 0; c < 6; ++c) {
    clients.emplace_back([&, seed = random()] {
      std::mt19937 own(seed);
      for (int i = 0; i < 12; ++i)
        one_request(*engine, known, own, totals);
    });
  }
  for (std::thread& client : clients)
    client.join();
  engine->drain();
  const EngineStats stats = engine->stats();
  totals.preemptions += static_cast<std::int64_t>(stats.scheduler.num_preempted);
  totals.swaps += static_cast<std::int64_t>(stats.scheduler.num_swapped_out);
  totals.cached_tokens += stats.kv.hit_tokens;
  totals.damaged += static_cast<std::int64_t>(stats.store.damaged);
  totals.write_errors += static_cast<std::int64_t>(stats.store.write_errors);
  totals.left += stats.kv.used_blocks;
  ++totals.rounds;
}

int soak(double seconds, unsigned seed) {
  std::signal(SIGXFSZ, SIG_IGN);
  const test::TempDir folder;
  const std::vector<Known> known = known_requests(32);
  std::mt19937 random(seed);
  Totals totals;
  const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  do {
    run_round(known, folder.path(), random, totals);
    limit_files(false);
    damage(folder.path(), random);
  } while (Clock::now() < end);
  std::printf(
      "{\"rounds\": %lld, \"requests\": %lld, \"complete\": %lld, \"cut_short\": %lld, \"expired\": %lld, "
      "\"refused\": %lld, \"tokens\": %lld, \"preemptions\": %lld, \"swaps\": %lld, \"cached_tokens\": %lld, "
      "\"damaged_files\": %lld, \"write_errors\": %lld, \"wrong\": %lld, \"blocks_left\": %lld}\n",
      static_cast<long long>(totals.rounds), static_cast<long long>(totals.requests.load()),
      static_cast<long long>(totals.complete.load()), static_cast<long long>(totals.cancelled.load()),
      static_cast<long long>(totals.expired.load()), static_cast<long long>(totals.refused.load()),
      static_cast<long long>(totals.tokens.load()), static_cast<long long>(totals.preemptions),
      static_cast<long long>(totals.swaps), static_cast<long long>(totals.cached_tokens),
      static_cast<long long>(totals.damaged), static_cast<long long>(totals.write_errors),
      static_cast<long long>(totals.wrong.load()), static_cast<long long>(totals.left));
  return totals.wrong == 0 && totals.left == 0 ? 0 : 1;
}

}  // namespace
}  // namespace mlxr

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 3.0;
  const auto seed = static_cast<unsigned>(argc > 2 ? std::atoi(argv[2]) : 1);
  return mlxr::soak(seconds, seed);
}
