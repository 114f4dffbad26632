#include "core/quant/fp4.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "core/quant/block_io.h"

namespace mlxr {
namespace {

// E2M1 code of v, given in doubled units: the nearest value, an even code where two are as near.
std::uint8_t nearest_code(float v) {
  const float magnitude = std::fabs(v);
  // Midpoints between neighbours; a tie goes up where the upper code is even.
  std::uint8_t code = 0;
  code = static_cast<std::uint8_t>((magnitude > 0.5F) + (magnitude >= 1.5F) + (magnitude > 2.5F) + (magnitude >= 3.5F) +
                                   (magnitude > 5.0F) + (magnitude >= 7.0F) + (magnitude > 10.0F));
  return static_cast<std::uint8_t>(code | (std::signbit(v) ? 8 : 0));
}

float clean_value(float x) {
  if (std::isnan(x)) return 0.0F;
  return std::clamp(x, -0x1p127F, 0x1p127F);
}

// Squared error in units of the scale, exponent taken out so that nothing overflows.
double error_at(const float* x, const double* weights, int exponent) {
  double error = 0;
  for (std::size_t j = 0; j < kMxfp4Block; ++j) {
    const double v = std::ldexp(static_cast<double>(x[j]), -exponent);
    const double difference = v - kFp4DoubledValues[nearest_code(static_cast<float>(v))];
    error += weights[j] * difference * difference;
  }
  return std::ldexp(error, 2 * exponent);
}

}  // namespace

float mxfp4_half_scale(std::uint8_t e) {
  const std::uint32_t bits = e < 2 ? 0x00200000U << e : static_cast<std::uint32_t>(e - 1) << 23;
  return std::bit_cast<float>(bits);
}

float nvfp4_half_scale(std::uint8_t bits) {
  const int exponent = (bits >> 3) & 15;
  const int mantissa = bits & 7;
  if (bits == 0x7f) return 0.0F;
  if (exponent == 0) return std::ldexp(static_cast<float>(mantissa), -10);
  return std::ldexp(static_cast<float>(8 + mantissa), exponent - 11);
}

void decode_mxfp4(const std::byte* blocks, std::span<float> out) {
  for (std::size_t b = 0; b < out.size() / kMxfp4Block; ++b) {
    const auto block = load_block<BlockMXFP4>(blocks, b);
    const float scale = mxfp4_half_scale(block.e);
    float* x = out.data() + b * kMxfp4Block;
    for (std::size_t j = 0; j < 16; ++j) {
      x[j] = scale * static_cast<float>(kFp4DoubledValues[block.qs[j] & 15]);
      x[j + 16] = scale * static_cast<float>(kFp4DoubledValues[block.qs[j] >> 4]);
    }
  }
}

void decode_nvfp4(const std::byte* blocks, std::span<float> out) {
  for (std::size_t b = 0; b < out.size() / kNvfp4Block; ++b) {
    const auto block = load_block<BlockNVFP4>(blocks, b);
    for (std::size_t s = 0; s < kNvfp4Block / kNvfp4Group; ++s) {
      const float scale = nvfp4_half_scale(block.d[s]);
      float* x = out.data() + b * kNvfp4Block + s * kNvfp4Group;
      for (std::size_t j = 0; j < 8; ++j) {
        x[j] = scale * static_cast<float>(kFp4DoubledValues[block.qs[8 * s + j] & 15]);
        x[j + 8] = scale * static_cast<float>(kFp4DoubledValues[block.qs[8 * s + j] >> 4]);
      }
    }
  }
}

void encode_mxfp4(std::span<const float> in, std::span<const float> importance, std::byte* blocks) {
  for (std::size_t b = 0; b < in.size() / kMxfp4Block; ++b) {
    float x[kMxfp4Block];
    double weights[kMxfp4Block];
    float largest = 0;
    for (std::size_t j = 0; j < kMxfp4Block; ++j) {
      x[j] = clean_value(in[b * kMxfp4Block + j]);
      largest = std::max(largest, std::fabs(x[j]));
      weights[j] = 1;
      if (!importance.empty()) {
        const float w = importance[b * kMxfp4Block + j];
        weights[j] = std::isfinite(w) && w > 0 ? static_cast<double>(w) : 0;
      }
    }
    BlockMXFP4 block{};
    if (largest > 0) {
      // With this exponent the largest magnitude falls in [8, 16) doubled units, where 12 is the largest value.
      int best = 0;
      double best_error = std::numeric_limits<double>::infinity();
      const int base = std::ilogb(largest) - 3;
      for (int exponent = base - 1; exponent <= base + 1; ++exponent) {
        const int stored = std::clamp(exponent + 128, 0, 254);
        const double error = error_at(x, weights, stored - 128);
        if (error < best_error) {
          best_error = error;
          best = stored;
        }
      }
      block.e = static_cast<std::uint8_t>(best);
      for (std::size_t j = 0; j < 16; ++j) {
        const auto code = [&](float value) {
          return nearest_code(static_cast<float>(std::ldexp(static_cast<double>(value), 128 - best)));
        };
        block.qs[j] = static_cast<std::uint8_t>(code(x[j]) | (code(x[j + 16]) << 4));
      }
    }
    store_block(blocks, b, block);
  }
}

}  // namespace mlxr
