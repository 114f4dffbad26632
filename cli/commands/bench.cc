// mlxr bench MODEL: how fast a model reads and writes on this machine, and how near the limit that is.

#include <chrono>
#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "cli/answer.h"
#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/progress.h"
#include "core/io/weight_source.h"
#include "core/runtime/loaded_model.h"
#include "core/runtime/model_path.h"

namespace mlxr::cli {
namespace {

using Clock = std::chrono::steady_clock;

struct BenchOptions {
  std::string model;
  std::int64_t prompt = 512;
  std::int64_t generate = 64;
  int repetitions = 3;
  ModelOptions model_options;
};

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Speed {
  double mean = 0.0;
  double deviation = 0.0;
};

Speed speed_of(const std::vector<double>& samples) {
  Speed speed;
  for (const double sample : samples)
    speed.mean += sample / static_cast<double>(samples.size());
  double squares = 0.0;
  for (const double sample : samples)
    squares += (sample - speed.mean) * (sample - speed.mean);
  if (samples.size() > 1) speed.deviation = std::sqrt(squares / static_cast<double>(samples.size() - 1));
  return speed;
}

// Random ids: what is read does not matter to the time it takes.
std::vector<TokenId> random_ids(std::int64_t count, std::int64_t vocab) {
  std::minstd_rand random(1);
  std::vector<TokenId> ids(static_cast<std::size_t>(count));
  for (TokenId& id : ids)
    id = static_cast<TokenId>(static_cast<std::int64_t>(random()) % vocab);
  return ids;
}

Status run_step(LoadedModel& model, SequenceId sequence, std::span<const TokenId> ids) {
  const SequencePiece piece{sequence, ids, RowsWanted::kLast};
  std::vector<float> logits;
  return model.runner().run({&piece, 1}, logits);
}

// Tokens a second of a prompt in one step.
Result<double> time_prompt(LoadedModel& model, SequenceId sequence, std::span<const TokenId> ids) {
  model.cache().truncate(sequence, 0);
  const Clock::time_point start = Clock::now();
  MLXR_RETURN_IF_ERROR(run_step(model, sequence, ids));
  return static_cast<double>(ids.size()) / seconds_since(start);
}

// Tokens a second, one after the other, from an empty context.
Result<double> time_generation(LoadedModel& model, SequenceId sequence, std::span<const TokenId> ids) {
  model.cache().truncate(sequence, 0);
  const Clock::time_point start = Clock::now();
  for (const TokenId& id : ids)
    MLXR_RETURN_IF_ERROR(run_step(model, sequence, {&id, 1}));
  return static_cast<double>(ids.size()) / seconds_since(start);
}

std::uint64_t sum_words(std::span<const std::byte> bytes) {
  // Eight sums that do not wait for each other.
  std::uint64_t sums[8] = {};
  const auto* words = reinterpret_cast<const std::uint64_t*>(bytes.data());
  for (std::size_t i = 0; i + 8 <= bytes.size() / 8; i += 8) {
    for (std::size_t j = 0; j < 8; ++j)
      sums[j] += words[i + j];
  }
  std::uint64_t total = 0;
  for (const std::uint64_t sum : sums)
    total += sum;
  return total;
}

// Bytes a second that plain loops read of an area of the size of the weights, the limit of decoding.
double read_bandwidth(std::size_t weight_bytes, int threads) {
  constexpr std::size_t kMaxArea = std::size_t{1} << 30;
  const std::size_t part = std::min(weight_bytes, kMaxArea) / static_cast<std::size_t>(threads) / 64 * 64;
  const std::vector<std::byte> area(part * static_cast<std::size_t>(threads), std::byte{1});
  std::vector<std::uint64_t> sums(static_cast<std::size_t>(threads));
  double best = 0.0;
  for (int round = 0; round < 5; ++round) {
    const Clock::time_point start = Clock::now();
    std::vector<std::thread> workers;
    for (std::size_t t = 0; t < sums.size(); ++t) {
      workers.emplace_back([&, t] { sums[t] += sum_words(std::span(area).subspan(t * part, part)); });
    }
    for (std::thread& worker : workers)
      worker.join();
    best = std::max(best, static_cast<double>(area.size()) / seconds_since(start));
  }
  return sums[0] == 0 ? 0.0 : best;
}

// What one decoded token reads: every matrix once, of the embeddings one row.
std::size_t bytes_per_token(const LoadedModel& model) {
  std::size_t total = model.weight_bytes();
  const bool tied = model.source().find("output.weight") == nullptr && model.source().find("lm_head.weight") == nullptr;
  if (tied) return total;
  for (const char* name : {"token_embd.weight", "model.embed_tokens.weight"}) {
    if (const WeightTensor* table = model.source().find(name)) total -= table->bytes.size();
  }
  return total;
}

Status bench(const BenchOptions& options, Output& output) {
  MLXR_ASSIGN_OR_RETURN(const std::string path, resolve_model(options.model));
  ModelOptions model_options = options.model_options;
  model_options.tokenizer = false;
  model_options.context = std::max(options.prompt, options.generate);
  const Clock::time_point start = Clock::now();
  MLXR_ASSIGN_OR_RETURN(const auto model, LoadedModel::open(path, model_options));
  const double load_seconds = seconds_since(start);
  MLXR_ASSIGN_OR_RETURN(const SequenceId sequence, model->cache().open());
  const std::int64_t vocab = model->model().config().vocab_size;
  const std::vector<TokenId> prompt = random_ids(options.prompt, vocab);
  const std::vector<TokenId> generated = random_ids(options.generate, vocab);

  Progress progress({.label = "Measuring", .total = static_cast<std::uint64_t>(options.repetitions) + 1});
  // Once without a clock: pages of the file come into memory, buffers are made.
  MLXR_RETURN_IF_ERROR(
      time_prompt(*model, sequence, std::span(prompt).first(std::min<std::size_t>(prompt.size(), 64))).status());
  std::vector<double> prompt_speeds, generation_speeds;
  for (int i = 0; i < options.repetitions; ++i) {
    progress.update(static_cast<std::uint64_t>(i) + 1);
    MLXR_ASSIGN_OR_RETURN(const double prompt_speed, time_prompt(*model, sequence, prompt));
    MLXR_ASSIGN_OR_RETURN(const double generation_speed, time_generation(*model, sequence, generated));
    prompt_speeds.push_back(prompt_speed);
    generation_speeds.push_back(generation_speed);
  }
  progress.finish();
  const std::size_t peak_memory = peak_memory_bytes();  // before the limit is measured, which takes memory of its own
  const int threads = options.model_options.num_threads > 0 ? options.model_options.num_threads
                                                            : static_cast<int>(std::thread::hardware_concurrency());
  const double bandwidth = read_bandwidth(model->weight_bytes(), std::max(threads, 1));
  const Speed pp = speed_of(prompt_speeds);
  const Speed tg = speed_of(generation_speeds);
  const double share = bandwidth > 0.0 ? tg.mean * static_cast<double>(bytes_per_token(*model)) / bandwidth : 0.0;
  if (output.json()) {
    output.write_json(
        {{"model", path},
         {"weight_bytes", model->weight_bytes()},
         {"backend", model->backend().description()},
         {"prompt_tokens", options.prompt},
         {"prompt_tokens_per_second", {{"mean", pp.mean}, {"deviation", pp.deviation}, {"samples", prompt_speeds}}},
         {"generated_tokens", options.generate},
         {"generation_tokens_per_second",
          {{"mean", tg.mean}, {"deviation", tg.deviation}, {"samples", generation_speeds}}},
         {"read_bandwidth_bytes_per_second", bandwidth},
         {"generation_share_of_bandwidth", share},
         {"load_seconds", load_seconds},
         {"peak_memory_bytes", peak_memory}});
    return {};
  }
  output.line(fmt::format("{}, {} of weights, {}", path, format_bytes(static_cast<double>(model->weight_bytes())),
                          model->backend().description()));
  output.table({.header = {"test", "tokens/s", "+/-", "of the limit"},
                .align = {Align::kLeft, Align::kRight, Align::kRight, Align::kRight},
                .rows = {{fmt::format("prompt {}", options.prompt), fmt::format("{:.1f}", pp.mean),
                          fmt::format("{:.1f}", pp.deviation), ""},
                         {fmt::format("generate {}", options.generate), fmt::format("{:.1f}", tg.mean),
                          fmt::format("{:.1f}", tg.deviation), fmt::format("{:.0f} %", 100.0 * share)}}});
  output.line(fmt::format(
      "The limit is {:.1f} GB/s, read here by plain loops on {} threads. Loaded in {:.0f} ms, peak memory {}.",
      bandwidth / 1e9, threads, load_seconds * 1000.0, format_bytes(static_cast<double>(peak_memory))));
  return {};
}

}  // namespace

CommandBody declare_bench(CLI::App& app) {
  auto options = std::make_shared<BenchOptions>();
  app.add_option("model", options->model, "GGUF file, Hugging Face folder, or name of a model")->required();
  app.add_option("-p,--prompt", options->prompt, "tokens of the prompt")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("-n,--generate", options->generate, "tokens to generate")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("-r,--repetitions", options->repetitions, "measurements of each")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  add_backend_options(app, options->model_options);
  add_kv_type_option(app, options->model_options);
  return [options](Output& output) { return bench(*options, output); };
}

}  // namespace mlxr::cli
