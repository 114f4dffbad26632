#include "core/runtime/sampler/weight_sums.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "core/runtime/sampler/exponential.h"

namespace mlxr {
namespace {

constexpr std::size_t kLanes = 16;

// Inlined into a function of each instruction set, for which the compiler makes vector code of it.
[[gnu::always_inline]] inline void sum_blocks(std::span<const float> logits, float top, double* sums) {
  constexpr std::size_t kBlock = WeightSums::kBlock;
  for (std::size_t start = 0; start < logits.size(); start += kBlock) {
    const std::size_t count = std::min(kBlock, logits.size() - start);
    std::array<float, kBlock> weights;
    weights.fill(-std::numeric_limits<float>::infinity());
    std::memcpy(weights.data(), logits.data() + start, count * sizeof(float));
    std::array<double, kLanes> partial{};
    for (std::size_t i = 0; i < kBlock; i += kLanes) {
      for (std::size_t lane = 0; lane < kLanes; ++lane)
        weights[i + lane] = exp_negative(weights[i + lane] - top);
      for (std::size_t lane = 0; lane < kLanes; ++lane)
        partial[lane] += static_cast<double>(weights[i + lane]);
    }
    double sum = 0;
    for (const double lane : partial)
      sum += lane;
    *sums++ = sum;
  }
}

void sum_reference(std::span<const float> logits, float top, double* sums) {
  sum_blocks(logits, top, sums);
}

#ifdef __x86_64__
[[gnu::target("avx2")]] void sum_avx2(std::span<const float> logits, float top, double* sums) {
  sum_blocks(logits, top, sums);
}
#endif

}  // namespace

WeightSums::WeightSums(Isa isa) : function_(sum_reference) {
#ifdef __x86_64__
  if (isa >= Isa::kAvx2 && isa < Isa::kNeon) function_ = sum_avx2;
#else
  static_cast<void>(isa);
#endif
}

// A bad MLXR_FORCE_ISA is reported where the backend is made.
WeightSums::WeightSums()
    : WeightSums([] {
        const Result<CpuFeatures> features = usable_cpu_features();
        return features.ok() ? best_isa(*features) : Isa::kReference;
      }()) {}

void WeightSums::compute(std::span<const float> logits, float top, std::vector<double>& sums) const {
  sums.resize((logits.size() + kBlock - 1) / kBlock);
  function_(logits, top, sums.data());
}

}  // namespace mlxr
