// serving_bench MODEL [options]: what an engine does under load, as JSON, one scenario an object.
//
//   throughput   total generated tokens a second with 1, 4, 16, 64 requests at once
//   latency      time to first token and between tokens, p50/p95/p99, with requests that arrive by a Poisson process
//   prefix       the second of two requests that share a prompt, against the first
//   restart      the same when the engine was started anew between them
//   speculation  tokens a second and acceptance without proposals, with those of the text, with a draft model (--draft)
//   memory       what was planned against what the system reports

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <thread>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "core/runtime/engine/engine.h"
#include "core/runtime/engine/memory_plan.h"
#include "core/runtime/model_path.h"
#include "daemon/scheduler/fair_scheduler.h"

namespace mlxr {
namespace {

using Clock = std::chrono::steady_clock;
using nlohmann::json;

struct BenchOptions {
  std::string model = "sprout";
  int threads = 0;
  std::vector<std::int64_t> concurrency = {1, 4, 16, 64};
  std::int64_t prompt = 64;
  std::int64_t generate = 64;
  std::int64_t shared_prompt = 1500;
  std::int64_t context = 0;
  std::string kv_type = "auto";
  double rate = 2.0;  // requests a second
  std::int64_t requests = 30;
  std::string draft;
  std::vector<std::string> scenarios = {"throughput", "latency", "prefix", "restart", "speculation", "memory"};
};

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

template <class T>
T value_or_exit(Result<T> result) {
  if (!result.ok()) {
    std::fprintf(stderr, "serving_bench: %s\n", result.status().message().c_str());
    std::exit(1);
  }
  return std::move(result).value();
}

double percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0.0;
  std::sort(values.begin(), values.end());
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(values.size())));
  return values[std::clamp<std::size_t>(rank, 1, values.size()) - 1];
}

json percentiles(const std::vector<double>& values) {
  return {{"p50", percentile(values, 0.5)}, {"p95", percentile(values, 0.95)}, {"p99", percentile(values, 0.99)}};
}

// When the tokens of one request came.
struct Trace {
  double first_ms = 0.0;
  std::vector<double> gaps_ms;
  std::int64_t tokens = 0;
};

Trace follow(ResponseStream& stream, Clock::time_point start) {
  Trace trace;
  double last = 0.0;
  while (const std::optional<Event> event = stream.next()) {
    if (const auto* failed = std::get_if<FailedEvent>(&*event)) value_or_exit<int>(failed->status);
    const auto* delta = std::get_if<DeltaEvent>(&*event);
    if (delta == nullptr || delta->tokens.empty()) continue;
    const double now = ms_since(start);
    if (trace.tokens == 0) {
      trace.first_ms = now;
    } else {
      // Tokens of one step come together; each waited its share.
      for (std::size_t i = 0; i < delta->tokens.size(); ++i)
        trace.gaps_ms.push_back((now - last) / static_cast<double>(delta->tokens.size()));
    }
    last = now;
    trace.tokens += static_cast<std::int64_t>(delta->tokens.size());
  }
  return trace;
}

// A reader for each, so that no event waits for another stream's.
std::vector<Trace> follow_all(const std::vector<std::shared_ptr<ResponseStream>>& streams, Clock::time_point start) {
  std::vector<Trace> traces(streams.size());
  std::vector<std::thread> readers;
  for (std::size_t i = 0; i < streams.size(); ++i)
    readers.emplace_back([&stream = *streams[i], &trace = traces[i], start] { trace = follow(stream, start); });
  for (std::thread& reader : readers)
    reader.join();
  return traces;
}

class Bench {
 public:
  explicit Bench(BenchOptions options)
      : options_(std::move(options)), path_(value_or_exit(resolve_model(options_.model))) {}

  std::unique_ptr<Engine> start(const std::string& store = {}) const {
    auto model = value_or_exit(LoadedModel::open(path_, model_options()));
    auto scheduler = value_or_exit(FairScheduler::create(scheduler_));
    return value_or_exit(Engine::start(std::move(model), std::move(scheduler), engine_options(store)));
  }

  json throughput() const {
    json rows = json::array();
    const auto engine = start();
    answer(*engine, 0, 8, 4);  // warm
    double single = 0.0;
    for (const std::int64_t n : options_.concurrency) {
      const EngineStats before = engine->stats();
      const Clock::time_point begin = Clock::now();
      std::vector<std::shared_ptr<ResponseStream>> streams;
      for (std::int64_t i = 0; i < n; ++i)
        streams.push_back(
            submit(*engine, static_cast<std::uint64_t>(1000 * n + i), options_.prompt, options_.generate));
      std::int64_t tokens = 0;
      double first = 0.0;
      for (const Trace& trace : follow_all(streams, begin)) {
        tokens += trace.tokens;
        first = std::max(first, trace.first_ms);
      }
      const double total_ms = ms_since(begin);
      const EngineStats after = engine->stats();
      const auto steps = static_cast<double>(after.num_steps - before.num_steps);
      const double rate = 1000.0 * static_cast<double>(tokens) / total_ms;
      // Without the prompts: from the moment at which all had their first token.
      const double decode = 1000.0 * static_cast<double>(tokens - n) / (total_ms - first);
      if (n == 1) single = decode;
      rows.push_back({{"sequences", n},
                      {"tokens_per_s", rate},
                      {"decode_tokens_per_s", decode},
                      {"decode_speedup", single > 0.0 ? decode / single : 0.0},
                      {"overhead_us_per_step", 1000.0 * (after.overhead_ms - before.overhead_ms) / steps}});
      std::fprintf(stderr, "throughput %lld: %s\n", static_cast<long long>(n), rows.back().dump().c_str());
    }
    return rows;
  }

  json latency() const {
    const auto engine = start();
    answer(*engine, 0, 8, 4);
    std::mt19937_64 random(1);
    std::exponential_distribution<double> gap(options_.rate);
    std::vector<Trace> traces(static_cast<std::size_t>(options_.requests));
    std::vector<std::thread> readers;
    Clock::time_point due = Clock::now();
    for (std::int64_t i = 0; i < options_.requests; ++i) {
      due += std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(gap(random)));
      std::this_thread::sleep_until(due);
      auto stream = submit(*engine, static_cast<std::uint64_t>(7000 + i), options_.prompt, options_.generate);
      readers.emplace_back(
          [stream, due, &trace = traces[static_cast<std::size_t>(i)]] { trace = follow(*stream, due); });
    }
    for (std::thread& reader : readers)
      reader.join();
    std::vector<double> first;
    std::vector<double> gaps;
    for (const Trace& trace : traces) {
      first.push_back(trace.first_ms);
      gaps.insert(gaps.end(), trace.gaps_ms.begin(), trace.gaps_ms.end());
    }
    return {{"requests", options_.requests},
            {"rate_per_s", options_.rate},
            {"first_token_ms", percentiles(first)},
            {"inter_token_ms", percentiles(gaps)}};
  }

  json prefix() const {
    const auto engine = start();
    answer(*engine, 0, 8, 4);
    return compare(*engine, *engine);
  }

  json restart() const {
    const std::string folder = std::filesystem::temp_directory_path() / "mlxr-serving-bench";
    std::filesystem::remove_all(folder);
    auto first = start(folder);
    answer(*first, 0, 8, 4);
    const double cold = first_token_ms(*first, 1);
    first.reset();
    const auto second = start(folder);
    answer(*second, 0, 8, 4);
    const double warm = first_token_ms(*second, 2);
    std::filesystem::remove_all(folder);
    return {{"prompt", shared_length()}, {"first_ms", cold}, {"second_ms", warm}, {"speedup", cold / warm}};
  }

  json speculation() const {
    json rows = json::array();
    double plain = 0.0;
    for (const char* mode : {"none", "text", "draft"}) {
      if (mode == std::string("draft") && options_.draft.empty()) continue;
      ModelOptions model = model_options();
      model.tokenizer = true;
      EngineOptions engine = engine_options({});
      engine.speculate = mode != std::string("none");
      if (mode == std::string("draft")) engine.draft_path = value_or_exit(resolve_model(options_.draft));
      auto loaded = value_or_exit(LoadedModel::open(path_, model));
      const auto running =
          value_or_exit(Engine::start(std::move(loaded), value_or_exit(FairScheduler::create(scheduler_)), engine));
      rows.push_back(speculation_row(*running, mode));
      if (plain == 0.0) plain = rows.back()["tokens_per_s"];
      rows.back()["speedup"] = rows.back()["tokens_per_s"].get<double>() / plain;
    }
    return rows;
  }

  // The pool is filled to its last block and the largest step run, so that nothing planned stays untouched.
  json memory() const {
    SchedulerOptions scheduler = scheduler_;
    scheduler.max_step_tokens = 256;     // a chunk of one prompt reaches it
    scheduler.prefill_latency_ms = 1e9;  // however long it takes
    const MemoryPlan plan =
        value_or_exit(plan_memory(path_, model_options(), engine_options({}), scheduler.max_step_tokens));
    const std::uint64_t before = resident_bytes().value_or(0);
    const auto engine =
        value_or_exit(Engine::start(value_or_exit(LoadedModel::open(path_, model_options())),
                                    value_or_exit(FairScheduler::create(scheduler)), engine_options({})));
    const std::int64_t each = engine->context() - 2;
    const std::int64_t count = kDefaultKvSequences;
    std::vector<std::shared_ptr<ResponseStream>> streams;
    for (std::int64_t i = 0; i < count; ++i)
      streams.push_back(submit(*engine, static_cast<std::uint64_t>(9000 + i), each, 1));
    follow_all(streams, Clock::now());
    const std::uint64_t used = resident_bytes().value_or(0) - before;
    return {{"planned_bytes", plan.total()},
            {"reported_bytes", used},
            {"reported_over_planned", static_cast<double>(used) / static_cast<double>(plan.total())},
            {"plan", describe(plan)}};
  }

  json run() const {
    const std::map<std::string, json (Bench::*)() const> all = {
        {"throughput", &Bench::throughput}, {"latency", &Bench::latency},         {"prefix", &Bench::prefix},
        {"restart", &Bench::restart},       {"speculation", &Bench::speculation}, {"memory", &Bench::memory}};
    json result = {{"model", options_.model}, {"prompt", options_.prompt}, {"generate", options_.generate}};
    // Memory is read against an empty process, so that it comes first.
    for (const char* name : {"memory", "throughput", "latency", "prefix", "restart", "speculation"}) {
      if (std::find(options_.scenarios.begin(), options_.scenarios.end(), name) == options_.scenarios.end()) continue;
      result[name] = (this->*all.at(name))();
      std::fprintf(stderr, "%s: %s\n", name, result[name].dump().c_str());
    }
    return result;
  }

 private:
  ModelOptions model_options() const {
    return {.num_threads = options_.threads, .context = options_.context, .own_cache = false, .tokenizer = false};
  }
  EngineOptions engine_options(const std::string& store) const {
    EngineOptions engine;
    engine.context = options_.context;
    engine.kv_type = options_.kv_type;
    engine.store_folder = store;
    engine.keep_prefixes = !store.empty();
    return engine;
  }

  std::vector<TokenId> tokens(const Engine& engine, std::uint64_t seed, std::int64_t count) const {
    std::mt19937_64 random(seed);
    const auto vocab = static_cast<std::uint64_t>(engine.model().model().config().vocab_size);
    std::vector<TokenId> ids(static_cast<std::size_t>(count));
    for (TokenId& id : ids)
      id = static_cast<TokenId>(random() % vocab);
    return ids;
  }

  std::shared_ptr<ResponseStream> submit_tokens(Engine& engine, std::vector<TokenId> prompt,
                                                std::int64_t generate) const {
    GenerateRequest request;
    request.prompt = std::move(prompt);
    request.sampling.temperature = 0.0F;
    request.max_tokens = generate;
    request.ignore_end_of_text = true;
    return value_or_exit(engine.generate(std::move(request)));
  }
  std::shared_ptr<ResponseStream> submit(Engine& engine, std::uint64_t seed, std::int64_t prompt,
                                         std::int64_t generate) const {
    return submit_tokens(engine, tokens(engine, seed, prompt), generate);
  }
  void answer(Engine& engine, std::uint64_t seed, std::int64_t prompt, std::int64_t generate) const {
    follow(*submit(engine, seed, prompt, generate), Clock::now());
  }

  // Stories, and a text that repeats itself.
  json speculation_row(Engine& engine, const std::string& mode) const {
    constexpr const char* kPrompts[] = {
        "Once upon a time there was a little girl who lived in a village near the forest.",
        "The old man looked at the sea and",
        "A red fox, a blue bird, a green frog. A red fox, a blue bird, a green frog. A red fox,",
        "One day the king said to his three sons:"};
    answer(engine, 0, 8, 4);
    const EngineStats before = engine.stats();
    std::int64_t generated = 0;
    const Clock::time_point begin = Clock::now();
    for (const char* prompt : kPrompts) {
      GenerateRequest request;
      request.prompt = engine.model().tokenizer()->encode(prompt);
      request.sampling.temperature = 0.0F;
      request.max_tokens = 4 * options_.generate;
      request.ignore_end_of_text = true;
      generated += follow(*value_or_exit(engine.generate(std::move(request))), begin).tokens;
    }
    const double total_ms = ms_since(begin);
    const EngineStats after = engine.stats();
    const auto proposed = static_cast<double>(after.draft_tokens - before.draft_tokens);
    const auto accepted = static_cast<double>(after.accepted_tokens - before.accepted_tokens);
    return {
        {"proposals", mode},
        {"tokens_per_s", 1000.0 * static_cast<double>(generated) / total_ms},
        {"tokens_per_step", static_cast<double>(generated) / static_cast<double>(after.num_steps - before.num_steps)},
        {"acceptance", proposed > 0.0 ? accepted / proposed : 0.0}};
  }

  std::int64_t shared_length() const { return options_.shared_prompt; }
  // A request whose prompt is shared but for its last eight tokens.
  double first_token_ms(Engine& engine, std::uint64_t seed) const {
    const std::int64_t length = std::min(shared_length(), engine.context() - 16);
    std::vector<TokenId> prompt = tokens(engine, 5, length - 8);
    const std::vector<TokenId> tail = tokens(engine, 50 + seed, 8);
    prompt.insert(prompt.end(), tail.begin(), tail.end());
    const Clock::time_point begin = Clock::now();
    return follow(*submit_tokens(engine, std::move(prompt), 4), begin).first_ms;
  }
  json compare(Engine& first, Engine& second) const {
    const double cold = first_token_ms(first, 1);
    const double warm = first_token_ms(second, 2);
    return {{"prompt", shared_length()}, {"first_ms", cold}, {"second_ms", warm}, {"speedup", cold / warm}};
  }

  BenchOptions options_;
  SchedulerOptions scheduler_ = {};
  std::string path_;
};

}  // namespace
}  // namespace mlxr

int main(int argc, char** argv) {
  mlxr::BenchOptions options;
  CLI::App app{"An engine under load"};
  app.add_option("model", options.model, "GGUF file, folder or name")->capture_default_str();
  app.add_option("--threads", options.threads);
  app.add_option("--concurrency", options.concurrency, "requests at once")->delimiter(',');
  app.add_option("--prompt", options.prompt, "tokens of each prompt")->capture_default_str();
  app.add_option("--generate", options.generate, "tokens of each answer")->capture_default_str();
  app.add_option("--shared-prompt", options.shared_prompt)->capture_default_str();
  app.add_option("--context", options.context);
  app.add_option("--kv-type", options.kv_type);
  app.add_option("--draft", options.draft, "model that proposes tokens");
  app.add_option("--rate", options.rate, "requests a second")->capture_default_str();
  app.add_option("--requests", options.requests)->capture_default_str();
  app.add_option("--scenarios", options.scenarios)->delimiter(',');
  CLI11_PARSE(app, argc, argv);
  std::printf("%s\n", mlxr::Bench(std::move(options)).run().dump(2).c_str());
  return 0;
}
