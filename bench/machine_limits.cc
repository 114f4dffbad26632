#include "bench/machine_limits.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <memory>

#include "core/kernels/cpu/target_region.h"
#include "core/kernels/cpu/unroll.h"

#if MLXR_X86
#include <immintrin.h>
#elif MLXR_ARM64
#include <arm_neon.h>
#endif

namespace mlxr {
namespace {

constexpr long kRounds = 2'000'000;
constexpr int kChains = 12;  // independent accumulators: more than latency x throughput of any of the instructions

// The optimiser must believe that the value is read and changed here.
#define MLXR_OPAQUE(vector) __asm__ volatile("" : "+x"(vector))

}  // namespace
}  // namespace mlxr

#if MLXR_X86

MLXR_TARGET_REGION_BEGIN(MLXR_TARGET_AVX2)
namespace mlxr {

static double maddubs_operations() {
  __m256i acc[kChains];
  MLXR_UNROLL
  for (int c = 0; c < kChains; ++c)
    acc[c] = _mm256_setzero_si256();
  const __m256i x = _mm256_set1_epi8(1);
  for (long i = 0; i < kRounds; ++i) {
    MLXR_UNROLL
    for (int c = 0; c < kChains; ++c) {
      __m256i products;
      __asm__ volatile("vpmaddubsw %1, %1, %0" : "=x"(products) : "x"(x));
      acc[c] = _mm256_add_epi16(acc[c], products);
    }
  }
  MLXR_UNROLL
  for (int c = 0; c < kChains; ++c)
    MLXR_OPAQUE(acc[c]);
  return 64.0 * kChains * kRounds;
}

static double fma_operations() {
  __m256 acc[kChains];
  MLXR_UNROLL
  for (int c = 0; c < kChains; ++c)
    acc[c] = _mm256_setzero_ps();
  __m256 x = _mm256_set1_ps(0.5F);
  for (long i = 0; i < kRounds; ++i) {
    MLXR_OPAQUE(x);
    MLXR_UNROLL
    for (int c = 0; c < kChains; ++c)
      acc[c] = _mm256_fmadd_ps(x, x, acc[c]);
  }
  MLXR_UNROLL
  for (int c = 0; c < kChains; ++c)
    MLXR_OPAQUE(acc[c]);
  return 16.0 * kChains * kRounds;
}

static std::uint64_t read_all(const std::byte* p, std::size_t bytes) {
  __m256i sum[4] = {};
  for (std::size_t i = 0; i + 128 <= bytes; i += 128) {
    _mm_prefetch(reinterpret_cast<const char*>(p + i + 1024), _MM_HINT_T0);
    _mm_prefetch(reinterpret_cast<const char*>(p + i + 1088), _MM_HINT_T0);
    MLXR_UNROLL
    for (std::size_t j = 0; j < 4; ++j)
      sum[j] = _mm256_add_epi64(sum[j], _mm256_load_si256(reinterpret_cast<const __m256i*>(p + i + 32 * j)));
  }
  const __m256i all = _mm256_add_epi64(_mm256_add_epi64(sum[0], sum[1]), _mm256_add_epi64(sum[2], sum[3]));
  return static_cast<std::uint64_t>(_mm256_extract_epi64(all, 0));
}

}  // namespace mlxr
MLXR_TARGET_REGION_END

MLXR_TARGET_REGION_BEGIN(MLXR_TARGET_AVX512_VNNI)
namespace mlxr {

static double vnni512_operations() {
  __m512i acc[kChains];
  for (auto& a : acc)
    a = _mm512_setzero_si512();
  __m512i x = _mm512_set1_epi8(1);
  for (long i = 0; i < kRounds; ++i) {
    __asm__ volatile("" : "+v"(x));
    MLXR_UNROLL
    for (int c = 0; c < kChains; ++c)
      acc[c] = _mm512_dpbusd_epi32(acc[c], x, x);
  }
  for (auto& a : acc)
    __asm__ volatile("" : "+v"(a));
  return 128.0 * kChains * kRounds;
}

static double fma512_operations() {
  __m512 acc[kChains];
  for (auto& a : acc)
    a = _mm512_setzero_ps();
  __m512 x = _mm512_set1_ps(0.5F);
  for (long i = 0; i < kRounds; ++i) {
    __asm__ volatile("" : "+v"(x));
    MLXR_UNROLL
    for (int c = 0; c < kChains; ++c)
      acc[c] = _mm512_fmadd_ps(x, x, acc[c]);
  }
  for (auto& a : acc)
    __asm__ volatile("" : "+v"(a));
  return 32.0 * kChains * kRounds;
}

}  // namespace mlxr
MLXR_TARGET_REGION_END

#else

namespace mlxr {

static std::uint64_t read_all(const std::byte* p, std::size_t bytes) {
  const auto* words = reinterpret_cast<const std::uint64_t*>(p);
  std::uint64_t sum[8] = {};
  for (std::size_t i = 0; i + 8 <= bytes / 8; i += 8) {
    for (std::size_t j = 0; j < 8; ++j)
      sum[j] += words[i + j];
  }
  return sum[0] + sum[1] + sum[2] + sum[3] + sum[4] + sum[5] + sum[6] + sum[7];
}

}  // namespace mlxr

#endif

namespace mlxr {

double thread_cpu_seconds() {
  std::timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

namespace {

[[maybe_unused]] double best_rate(double (*loop)()) {
  double best = 0;
  for (int i = 0; i < 3; ++i) {
    const double start = thread_cpu_seconds();
    const double operations = loop();
    best = std::max(best, operations / (thread_cpu_seconds() - start));
  }
  return best;
}

}  // namespace

double int8_peak([[maybe_unused]] const CpuFeatures& features) {
#if MLXR_X86
  if (features.avx512_vnni) return best_rate(vnni512_operations);
  if (features.avx2) return best_rate(maddubs_operations);
#endif
  return 0;
}

double f32_peak([[maybe_unused]] const CpuFeatures& features) {
#if MLXR_X86
  if (features.avx512) return best_rate(fma512_operations);
  if (features.avx2) return best_rate(fma_operations);
#endif
  return 0;
}

double read_bandwidth(ThreadPool& pool, std::size_t bytes) {
  constexpr std::int64_t kPiece = 1 << 18;
  const auto pieces = static_cast<std::int64_t>(bytes) / kPiece;
  const auto memory = std::make_unique<std::byte[]>(bytes + 64);
  const std::byte* start = memory.get() + (64 - reinterpret_cast<std::uintptr_t>(memory.get()) % 64) % 64;
  double best = 0;
  for (int pass = 0; pass < 5; ++pass) {
    const auto begin = std::chrono::steady_clock::now();
    pool.parallel_for(pieces, 4, [&](std::int64_t first, std::int64_t end, int) {
      volatile std::uint64_t sink = read_all(start + first * kPiece, static_cast<std::size_t>((end - first) * kPiece));
      static_cast<void>(sink);
    });
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    best = std::max(best, static_cast<double>(pieces * kPiece) / seconds.count());
  }
  return best;
}

}  // namespace mlxr
