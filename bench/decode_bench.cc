// Time of a decode step by the number of sequences in it, on a model's own weights.
//
//   decode_bench MODEL [--context N] [--kv-type T] [--threads N] [--steps N] [SEQUENCES ...]
//
// Every sequence has its own blocks and N tokens of context (made up: weights are read and scores summed alike whatever
// they say). One JSON line a number of sequences: the fastest step, which other programs disturb least, the median, and
// the tokens a second of the fastest against those of one sequence.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <string>
#include <vector>

#include <fmt/core.h>

#include "core/io/open_weights.h"
#include "core/kernels/cpu/cpu_backend.h"
#include "core/models/architecture.h"
#include "core/runtime/step_runner.h"

namespace mlxr {
namespace {

constexpr std::int64_t kBlockTokens = 32;

// Sequence s owns blocks [s * blocks_each, (s + 1) * blocks_each).
class FixedKv : public KvCache {
 public:
  FixedKv(std::int64_t sequences, std::int64_t blocks_each) : blocks_each_(blocks_each) {
    ids_.resize(static_cast<std::size_t>(sequences * blocks_each));
    std::iota(ids_.begin(), ids_.end(), 0);
    lengths_.resize(static_cast<std::size_t>(sequences));
  }
  std::int64_t block_tokens() const override { return kBlockTokens; }
  std::int64_t max_length() const override { return blocks_each_ * kBlockTokens; }
  Result<SequenceId> open() override { return resource_exhausted("sequences are fixed"); }
  void close(SequenceId /*sequence*/) override {}
  std::int64_t length(SequenceId sequence) const override { return lengths_[static_cast<std::size_t>(sequence)]; }
  Status extend(SequenceId sequence, std::int64_t count) override {
    if (length(sequence) + count > max_length()) return resource_exhausted("the sequence is full");
    lengths_[static_cast<std::size_t>(sequence)] += count;
    return {};
  }
  void truncate(SequenceId sequence, std::int64_t length) override {
    lengths_[static_cast<std::size_t>(sequence)] = length;
  }
  std::span<const std::int32_t> blocks(SequenceId sequence, int /*group*/) const override {
    const auto used = static_cast<std::size_t>((length(sequence) + kBlockTokens - 1) / kBlockTokens);
    return std::span(ids_).subspan(static_cast<std::size_t>(sequence * blocks_each_), used);
  }

 private:
  std::int64_t blocks_each_;
  std::vector<std::int32_t> ids_;
  std::vector<std::int64_t> lengths_;
};

struct BenchOptions {
  std::string model;
  std::int64_t context = 32;
  KvType kv_type = KvType::kF16;
  int threads = 0;
  int steps = 8;
  std::vector<std::int64_t> sequences;
};

Result<BenchOptions> parse(int argc, char** argv) {
  BenchOptions options;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : "";
    if (word == "--context") {
      options.context = std::atol(value);
    } else if (word == "--threads") {
      options.threads = std::atoi(value);
    } else if (word == "--steps") {
      options.steps = std::atoi(value);
    } else if (word == "--kv-type") {
      const auto type = kv_type_by_name(value);
      if (!type) return invalid_argument(fmt::format("KV type \"{}\" is not one of {}", value, kv_type_names()));
      options.kv_type = *type;
    } else if (options.model.empty()) {
      options.model = word;
      continue;
    } else {
      options.sequences.push_back(std::atol(word.c_str()));
      continue;
    }
    ++i;
  }
  if (options.sequences.empty()) options.sequences = {1, 2, 4, 8, 16, 32};
  if (options.model.empty()) return invalid_argument("decode_bench needs a model");
  for (const std::int64_t n : options.sequences) {
    if (n < 1 || n > 4096 || options.context < 1 || options.steps < 1)
      return invalid_argument("a number is not positive");
  }
  return options;
}

using Clock = std::chrono::steady_clock;

Status run(const BenchOptions& options) {
  MLXR_ASSIGN_OR_RETURN(const auto source, open_weights(options.model));
  MLXR_ASSIGN_OR_RETURN(const auto backend, make_cpu_backend({.num_threads = options.threads}));
  MLXR_ASSIGN_OR_RETURN(const LoadedWeights loaded, load_model(*source, *backend));
  const Model& model = *loaded.model;
  const std::int64_t most = *std::max_element(options.sequences.begin(), options.sequences.end());
  const std::int64_t blocks_each = (options.context + options.steps + kBlockTokens) / kBlockTokens;
  MLXR_ASSIGN_OR_RETURN(const auto storage, backend->make_kv_storage({.layers = model.kv_layers(),
                                                                      .num_blocks = {most * blocks_each},
                                                                      .block_tokens = kBlockTokens,
                                                                      .type = options.kv_type}));
  std::vector<float> logits;
  std::vector<std::int32_t> prompt;
  for (std::int64_t i = 0; i < options.context; ++i)
    prompt.push_back(static_cast<std::int32_t>(1 + i * 37 % (model.config().vocab_size - 1)));
  FixedKv first(most, blocks_each);
  StepRunner filler(model, *backend, first, *storage);
  constexpr std::size_t kChunk = 512;
  for (std::size_t at = 0; at < prompt.size(); at += kChunk) {
    const SequencePiece piece{0, std::span(prompt).subspan(at, std::min(kChunk, prompt.size() - at)),
                              RowsWanted::kNone};
    MLXR_RETURN_IF_ERROR(filler.run({&piece, 1}, logits));
  }
  for (std::int64_t s = 1; s < most; ++s) {
    for (std::int64_t b = 0; b < blocks_each; ++b)
      storage->copy_block(0, b, s * blocks_each + b);
  }

  double one = 0;
  for (const std::int64_t count : options.sequences) {
    FixedKv cache(most, blocks_each);
    StepRunner runner(model, *backend, cache, *storage);
    const std::vector<std::int32_t> token(1, 7);
    std::vector<SequencePiece> pieces;
    for (std::int64_t s = 0; s < count; ++s) {
      MLXR_RETURN_IF_ERROR(cache.extend(static_cast<SequenceId>(s), options.context));
      pieces.push_back({static_cast<SequenceId>(s), token, RowsWanted::kLast});
    }
    std::vector<double> times;
    for (int step = 0; step < options.steps; ++step) {
      const auto start = Clock::now();
      MLXR_RETURN_IF_ERROR(runner.run(pieces, logits));
      times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
    }
    std::sort(times.begin(), times.end());
    const double rate = static_cast<double>(count) * 1000 / times.front();
    if (one == 0) one = rate / static_cast<double>(count);
    fmt::print(
        "{{\"sequences\": {}, \"context\": {}, \"kv_type\": \"{}\", \"fastest_ms\": {:.2f}, \"median_ms\": {:.2f}, "
        "\"tokens_per_second\": {:.1f}, \"gain\": {:.2f}}}\n",
        count, options.context, kv_type_info(options.kv_type).name, times.front(), times[times.size() / 2], rate,
        rate / one);
    std::fflush(stdout);
  }
  return {};
}

}  // namespace
}  // namespace mlxr

int main(int argc, char** argv) {
  const auto options = mlxr::parse(argc, argv);
  const mlxr::Status status = options.ok() ? mlxr::run(*options) : options.status();
  if (!status.ok()) fmt::print(stderr, "{}\n", status.message());
  return status.ok() ? 0 : 1;
}
