#include "core/base/float16.h"

#include <cmath>
#include <cstdint>
#include <limits>

#include <gtest/gtest.h>

namespace mlxr {
namespace {

// The value that a binary format of one sign bit gives to `bits`, by its definition in IEEE 754, in double.
double value_by_definition(std::uint32_t bits, int exponent_bits, int mantissa_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const auto mantissa = static_cast<double>(bits & ((1U << mantissa_bits) - 1));
  const int exponent = static_cast<int>(bits >> mantissa_bits) & ((1 << exponent_bits) - 1);
  const double sign = (bits >> (exponent_bits + mantissa_bits)) != 0 ? -1.0 : 1.0;
  if (exponent == (1 << exponent_bits) - 1) {
    return mantissa == 0 ? sign * std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
  }
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
  return sign * std::ldexp(mantissa + std::ldexp(1.0, mantissa_bits), exponent - bias - mantissa_bits);
}

struct Format {
  int exponent_bits;
  int mantissa_bits;
  float (*widen)(std::uint16_t);
  std::uint16_t (*narrow)(float);
  std::uint16_t infinity;
};

constexpr Format kFormats[] = {
    {5, 10, f16_to_f32, f32_to_f16, 0x7c00},
    {8, 7, bf16_to_f32, f32_to_bf16, 0x7f80},
};

TEST(Float16, EveryValueWidensToItsDefinition) {
  for (const Format& format : kFormats) {
    for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
      const double expected = value_by_definition(bits, format.exponent_bits, format.mantissa_bits);
      const double actual = format.widen(static_cast<std::uint16_t>(bits));
      if (std::isnan(expected)) {
        ASSERT_TRUE(std::isnan(actual)) << bits;
      } else {
        ASSERT_EQ(actual, expected) << bits;
        ASSERT_EQ(std::signbit(actual), std::signbit(expected)) << bits;
      }
    }
  }
}

TEST(Float16, EveryValueSurvivesTheWayThere) {
  for (const Format& format : kFormats) {
    for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
      const auto narrow = static_cast<std::uint16_t>(bits);
      const std::uint16_t back = format.narrow(format.widen(narrow));
      if ((bits & 0x7fff) > format.infinity) {
        ASSERT_GT(back & 0x7fff, format.infinity) << bits;  // a NaN, perhaps made quiet
      } else {
        ASSERT_EQ(back, narrow) << bits;
      }
    }
  }
}

// Between every two neighbours: the middle goes to the even one, and one f32 step beside the middle to the nearer one.
// Rounding is monotonic, so this settles every f32.
TEST(Float16, EveryBoundaryRoundsToNearestEven) {
  for (const Format& format : kFormats) {
    for (std::uint32_t low = 0; low < format.infinity; ++low) {
      const std::uint32_t high = low + 1;
      const double below = value_by_definition(low, format.exponent_bits, format.mantissa_bits);
      // The neighbour of the largest value is where the next binade would begin.
      const double above = high == format.infinity
                               ? 2 * below - value_by_definition(low - 1, format.exponent_bits, format.mantissa_bits)
                               : value_by_definition(high, format.exponent_bits, format.mantissa_bits);
      const auto middle = static_cast<float>((below + above) / 2);
      ASSERT_EQ(static_cast<double>(middle), (below + above) / 2) << low;  // one more bit still fits an f32
      for (const std::uint32_t sign : {0U, 0x8000U}) {
        const float s = sign != 0 ? -1.0F : 1.0F;
        const std::uint32_t even = low % 2 == 0 ? low : high;
        ASSERT_EQ(format.narrow(s * middle), sign | even) << low;
        ASSERT_EQ(format.narrow(s * std::nextafter(middle, 0.0F)), sign | low) << low;
        ASSERT_EQ(format.narrow(s * std::nextafter(middle, INFINITY)), sign | high) << low;
      }
    }
  }
}

TEST(Float16, OverflowAndNaN) {
  for (const Format& format : kFormats) {
    EXPECT_EQ(format.narrow(std::numeric_limits<float>::max()), format.infinity);
    EXPECT_EQ(format.narrow(-INFINITY), format.infinity | 0x8000);
    EXPECT_TRUE(std::isnan(format.widen(format.narrow(std::numeric_limits<float>::quiet_NaN()))));
    EXPECT_TRUE(std::isnan(format.widen(format.narrow(-std::numeric_limits<float>::signaling_NaN()))));
    EXPECT_EQ(format.narrow(-0.0F), 0x8000);
    EXPECT_EQ(format.narrow(std::numeric_limits<float>::denorm_min()), 0);
  }
}

}  // namespace
}  // namespace mlxr
