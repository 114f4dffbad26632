#include "core/runtime/sampler/sampling_params.h"

#include <array>
#include <cmath>
#include <limits>

#include <fmt/core.h>

namespace mlxr {
namespace {

struct FloatRange {
  const char* name;
  float SamplingParams::*field;
  float low;
  float high;
};

constexpr float kAnyHigh = 1e6F;
constexpr float kLeastRepetition = 1e-3F;
constexpr std::array<FloatRange, 7> kRanges = {{
    {"temperature", &SamplingParams::temperature, 0.0F, kAnyHigh},
    {"top_p", &SamplingParams::top_p, 0.0F, 1.0F},
    {"min_p", &SamplingParams::min_p, 0.0F, 1.0F},
    {"typical_p", &SamplingParams::typical_p, 0.0F, 1.0F},
    {"repetition_penalty", &SamplingParams::repetition_penalty, kLeastRepetition, kAnyHigh},
    {"frequency_penalty", &SamplingParams::frequency_penalty, -kAnyHigh, kAnyHigh},
    {"presence_penalty", &SamplingParams::presence_penalty, -kAnyHigh, kAnyHigh},
}};

}  // namespace

Status SamplingParams::validate(std::size_t vocab_size) const {
  for (const FloatRange& range : kRanges) {
    const float value = this->*range.field;
    if (value >= range.low && value <= range.high) continue;
    return invalid_argument(fmt::format("{} is {}, not between {} and {}", range.name, value, range.low, range.high));
  }
  if (top_k < 0) return invalid_argument(fmt::format("top_k is {}, less than 0", top_k));
  if (penalty_last_n < -1) return invalid_argument(fmt::format("penalty_last_n is {}, less than -1", penalty_last_n));
  for (const auto& [token, bias] : logit_bias) {
    if (token < 0 || (vocab_size > 0 && static_cast<std::size_t>(token) >= vocab_size)) {
      return invalid_argument(fmt::format("logit_bias has token {}, which the vocabulary does not have", token));
    }
    if (!std::isfinite(bias) && bias != -std::numeric_limits<float>::infinity()) {
      return invalid_argument(fmt::format("logit_bias of token {} is {}", token, bias));
    }
  }
  return {};
}

}  // namespace mlxr
