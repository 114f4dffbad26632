// Speed of CpuMatmul against what the machine can do (machine_limits.h).
//
//   matmul_bench [Google Benchmark's options]      MLXR_FORCE_ISA chooses the kernels, MLXR_THREADS the threads
//
// decode/TYPE: one token; counters: bytes of weights a second and their share of the read bandwidth measured just
// before. batch/TYPE/TOKENS: operations a second of CPU time of one thread, and their share of the peak of the
// instructions; `per_token` is the time of a token against that of a batch of one.

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "bench/machine_limits.h"
#include "core/backend/host_weight.h"
#include "core/kernels/cpu/matmul.h"

namespace mlxr {
namespace {

constexpr std::int64_t kIn = 2048;
constexpr std::int64_t kOut = 5632;
// Decode walks through copies of a weight that together leave every cache.
constexpr std::size_t kDecodeBytes = std::size_t{256} << 20;

struct Bench {
  CpuFeatures features = usable_cpu_features().value();
  ThreadPool pool{{.num_threads = std::getenv("MLXR_THREADS") == nullptr ? 0 : std::atoi(std::getenv("MLXR_THREADS"))}};
  CpuMatmul matmul{features, pool};
};

Bench& bench() {
  static Bench instance;
  return instance;
}

// Numbers below 2 as floats, any quants: what the speed of no kernel depends on.
struct WeightRing {
  std::vector<std::byte> bytes;
  std::vector<Weight> weights;

  WeightRing(QuantType type, std::size_t total_bytes) {
    const std::size_t row_bytes = *quant_row_bytes(type, kIn);
    const std::size_t size = row_bytes * kOut;
    const std::size_t copies = std::max<std::size_t>(1, total_bytes / size);
    bytes.resize(size * copies);
    std::mt19937 random(1);
    for (std::size_t i = 0; i < size; ++i)
      bytes[i] = static_cast<std::byte>(random() & 0x3f);
    for (std::size_t c = 1; c < copies; ++c)
      std::copy_n(bytes.begin(), size, bytes.begin() + static_cast<std::ptrdiff_t>(c * size));
    for (std::size_t c = 0; c < copies; ++c)
      weights.push_back({"w", type, Shape{kOut, kIn},
                         std::make_shared<HostWeight>(std::span(bytes).subspan(c * size, size), row_bytes, nullptr)});
  }
};

std::vector<float> activations(std::int64_t tokens) {
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  std::vector<float> x(static_cast<std::size_t>(tokens * kIn));
  for (float& value : x)
    value = normal(random);
  return x;
}

void decode(benchmark::State& state, QuantType type) {
  const WeightRing ring(type, kDecodeBytes);
  const std::vector<float> x = activations(1);
  std::vector<float> out(kOut);
  const double limit = read_bandwidth(bench().pool, kDecodeBytes);
  std::size_t next = 0;
  for (auto unused : state) {
    static_cast<void>(unused);
    const CpuMatmul::Product product = {.weight = &ring.weights[next], .out = out.data()};
    bench().matmul.multiply(x.data(), 1, {&product, 1});
    next = (next + 1) % ring.weights.size();
  }
  const double bytes =
      static_cast<double>(*quant_row_bytes(type, kIn)) * kOut * static_cast<double>(state.iterations());
  state.counters["bytes"] = benchmark::Counter(bytes, benchmark::Counter::kIsRate);
  state.counters["share"] = benchmark::Counter(bytes / limit, benchmark::Counter::kIsRate);
}

void batch(benchmark::State& state, QuantType type) {
  const std::int64_t tokens = state.range(0);
  const WeightRing ring(type, 1);
  const std::vector<float> x = activations(tokens);
  std::vector<float> out(static_cast<std::size_t>(tokens * kOut));
  ThreadPool one({.num_threads = 1});
  CpuMatmul matmul(bench().features, one);
  const bool floats = !is_quantized(type);
  const double limit = floats ? f32_peak(bench().features) : int8_peak(bench().features);
  const CpuMatmul::Product product = {.weight = ring.weights.data(), .out = out.data()};
  const double start = thread_cpu_seconds();
  for (auto unused : state) {
    static_cast<void>(unused);
    matmul.multiply(x.data(), tokens, {&product, 1});
  }
  const double seconds = thread_cpu_seconds() - start;
  const double operations = 2.0 * kIn * kOut * static_cast<double>(tokens * state.iterations());
  state.counters["ops"] = operations / seconds;
  state.counters["peak"] = limit;
  state.counters["share"] = operations / seconds / limit;
}

void register_all() {
  for (const QuantInfo& info : all_quant_types()) {
    if (info.decode == nullptr || info.type == QuantType::kF64) continue;
    benchmark::RegisterBenchmark(("decode/" + std::string(info.name)).c_str(), decode, info.type)->UseRealTime();
    benchmark::RegisterBenchmark(("batch/" + std::string(info.name)).c_str(), batch, info.type)
        ->Arg(1)
        ->Arg(2)
        ->Arg(4)
        ->Arg(8)
        ->Arg(16)
        ->Arg(128)
        ->Arg(512);
  }
}

}  // namespace
}  // namespace mlxr

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  mlxr::register_all();
  benchmark::AddCustomContext("kernels", mlxr::bench().matmul.kernels_name());
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
