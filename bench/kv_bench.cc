// KV bookkeeping of a step, finding a long prefix, and reading blocks back from disk.
//
//   build/bench/bin/kv_bench --benchmark_format=json
//
// MLXR_BENCH_FOLDER: where blocks are written (default: the system's folder for temporary files).

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <numeric>

#include <benchmark/benchmark.h>

#include "core/runtime/kv/block_store.h"
#include "core/runtime/kv/paged_kv.h"

namespace mlxr {
namespace {

constexpr std::int64_t kBlockTokens = 32;

std::vector<std::int32_t> numbered(std::int64_t count, std::int32_t first) {
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(count));
  std::iota(tokens.begin(), tokens.end(), first);
  return tokens;
}

// One step of `range` decoding sequences, a token each; every 32nd step names and publishes a block a sequence.
void decode_step(benchmark::State& state) {
  const std::int64_t num_sequences = state.range(0);
  constexpr std::int64_t kLength = 4096;
  PagedKv kv({.groups = {{.num_blocks = num_sequences * kLength / kBlockTokens}},
              .block_tokens = kBlockTokens,
              .max_length = kLength,
              .max_sequences = num_sequences});
  std::vector<SequenceId> ids;
  for (std::int64_t i = 0; i < num_sequences; ++i)
    ids.push_back(*kv.open());
  std::int32_t token = 0;
  for (auto _ : state) {
    for (const SequenceId id : ids) {
      if (kv.length(id) == kLength) kv.truncate(id, 0);
      if (!kv.extend(id, 1).ok()) state.SkipWithError("no room");
      kv.commit(id, {&token, 1});
      benchmark::DoNotOptimize(kv.blocks(id).data());
      ++token;
    }
    benchmark::DoNotOptimize(kv.take_copies());
  }
}
BENCHMARK(decode_step)->Arg(1)->Arg(16)->Arg(64);

void attach_known_prefix(benchmark::State& state) {
  const std::int64_t count = state.range(0);
  PagedKv kv({.groups = {{.num_blocks = 2 * count / kBlockTokens}},
              .block_tokens = kBlockTokens,
              .max_length = 2 * count,
              .max_sequences = 2});
  const std::vector<std::int32_t> prompt = numbered(count + 1, 0);
  const SequenceId first = *kv.open();
  if (!kv.extend(first, count + 1).ok()) return state.SkipWithError("no room");
  kv.commit(first, prompt);
  for (auto _ : state) {
    const SequenceId id = *kv.open();
    if (kv.attach_prefix(id, prompt) != count) state.SkipWithError("not found");
    kv.close(id);
  }
}
BENCHMARK(attach_known_prefix)->Arg(1536)->Arg(32768);

// 32,768 tokens: 1,024 blocks of `range` bytes. The files may be in the system's page cache.
void read_blocks(benchmark::State& state, bool encrypted) {
  constexpr std::int32_t kBlocks = 1024;
  const char* parent_folder = std::getenv("MLXR_BENCH_FOLDER");
  const std::filesystem::path folder =
      (parent_folder != nullptr ? std::filesystem::path(parent_folder) : std::filesystem::temp_directory_path()) /
      ("mlxr-kv-bench-" + std::to_string(::getpid()));
  const auto payload_bytes = static_cast<std::size_t>(state.range(0));
  {
    auto store = BlockStore::open({.folder = folder.string(),
                                   .fingerprint = "bench",
                                   .max_queued_bytes = std::uint64_t{1} << 40,
                                   .key_file = encrypted ? (folder.string() + ".key") : ""});
    if (!store.ok()) return state.SkipWithError(store.status().message().c_str());
    Sha256 sha;
    std::vector<BlockHash> chain = {BlockHash{}};
    const std::vector<std::int32_t> tokens = numbered(kBlockTokens, 7);
    for (std::int32_t block = 0; block < kBlocks; ++block) {
      chain.push_back(chain_hash(sha, chain.back(), tokens));
      (*store)->put({chain.back(), 0}, tokens, chain[static_cast<std::size_t>(block)],
                    std::vector<std::byte>(payload_bytes, static_cast<std::byte>(block)));
      if (block % 16 == 15) (*store)->flush();
    }
    std::vector<std::byte> out(payload_bytes);
    for (auto _ : state) {
      for (std::size_t block = 1; block < chain.size(); ++block) {
        if (!(*store)->read({chain[block], 0}, tokens, chain[block - 1], out)) state.SkipWithError("a miss");
      }
    }
    state.SetBytesProcessed(state.iterations() * kBlocks * state.range(0));
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  std::filesystem::remove(folder.string() + ".key", ignored);
}
BENCHMARK_CAPTURE(read_blocks, plain, false)->Arg(64 << 10)->Arg(704 << 10)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(read_blocks, encrypted, true)->Arg(64 << 10)->Arg(704 << 10)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace mlxr

BENCHMARK_MAIN();
