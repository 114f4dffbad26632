#include "core/runtime/sampler/weight_sums.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "core/runtime/sampler/random.h"

namespace mlxr {
namespace {

TEST(WeightSumsTest, EveryInstructionSetGivesTheSameBits) {
  for (const std::size_t size : {0UL, 1UL, 63UL, 64UL, 65UL, 1000UL, 32003UL}) {
    std::vector<float> logits(size);
    for (std::size_t i = 0; i < size; ++i)
      logits[i] = static_cast<float>(-40 * random_unit(size, i, RandomUse::kToken));
    if (size > 10) logits[7] = -std::numeric_limits<float>::infinity();
    std::vector<double> expected;
    WeightSums(Isa::kReference).compute(logits, 0.5F, expected);
    ASSERT_EQ(expected.size(), (size + 63) / 64);
    for (std::size_t block = 0; block < expected.size(); ++block) {
      double sum = 0;
      for (std::size_t i = block * 64; i < std::min((block + 1) * 64, size); ++i)
        sum += std::exp(static_cast<double>(logits[i]) - 0.5);
      EXPECT_NEAR(expected[block], sum, 1e-6 * sum);  // the exponent is rounded once, to 2^-24 of 40, before exp
    }
    for (const Isa isa : available_isas(detect_cpu_features())) {
      std::vector<double> actual;
      WeightSums(isa).compute(logits, 0.5F, actual);
      EXPECT_EQ(actual, expected) << isa_name(isa) << " " << size;
    }
  }
}

}  // namespace
}  // namespace mlxr
