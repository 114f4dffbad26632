#pragma once
// The one pass over a whole vocabulary that costs: the exponentials of its logits, summed. Each instruction set that
// the machine has gives the same bits, since all do the same additions in the same order: 16 partial sums a block, then
// theirs.
//
// Bound by the arithmetic of the polynomial: AVX2 takes two thirds of the time of portable code.

#include <cstddef>
#include <span>
#include <vector>

#include "core/base/cpu_features.h"

namespace mlxr {

class WeightSums {
 public:
  static constexpr std::size_t kBlock = 64;

  // The best that the machine has, as far as MLXR_FORCE_ISA lets it.
  WeightSums();
  // Requires that the machine has it.
  explicit WeightSums(Isa isa);

  // sums[i]: of exp(logit - top) over the logits of block i.
  void compute(std::span<const float> logits, float top, std::vector<double>& sums) const;

 private:
  using Function = void (*)(std::span<const float>, float, double*);
  Function function_;
};

}  // namespace mlxr
