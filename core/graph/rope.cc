#include "core/graph/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <fmt/core.h>

namespace mlxr {
namespace {

// theta^(2i/dim): the reciprocal of the plain frequency.
float position_frequency(float theta, std::int64_t i, std::int64_t dim) {
  return std::pow(theta, static_cast<float>(2 * i) / static_cast<float>(dim));
}

float llama3_scaled(const RopeConfig& config, float inv_freq) {
  const auto context = static_cast<float>(config.original_context);
  const float wavelength = 2.0F * std::numbers::pi_v<float> / inv_freq;
  if (wavelength < context / config.high_freq_factor) return inv_freq;
  if (wavelength > context / config.low_freq_factor) return inv_freq / config.factor;
  const float smooth =
      (context / wavelength - config.low_freq_factor) / (config.high_freq_factor - config.low_freq_factor);
  return (1.0F - smooth) * inv_freq / config.factor + smooth * inv_freq;
}

// The dimension whose wavelength fits `rotations` times into the training context.
double yarn_correction_dim(const RopeConfig& config, double rotations) {
  const auto context = static_cast<double>(config.original_context);
  return static_cast<double>(config.dim) * std::log(context / (rotations * 2.0 * std::numbers::pi)) /
         (2.0 * std::log(static_cast<double>(config.theta)));
}

void scale_yarn(const RopeConfig& config, std::vector<float>& inv_freq) {
  double low = yarn_correction_dim(config, static_cast<double>(config.beta_fast));
  double high = yarn_correction_dim(config, static_cast<double>(config.beta_slow));
  if (config.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(config.dim - 1));
  if (low == high) high += 0.001;
  for (std::size_t i = 0; i < inv_freq.size(); ++i) {
    const auto position = (static_cast<float>(i) - static_cast<float>(low)) / static_cast<float>(high - low);
    const float ramp = std::clamp(position, 0.0F, 1.0F);
    inv_freq[i] = inv_freq[i] / config.factor * ramp + inv_freq[i] * (1.0F - ramp);
  }
}

}  // namespace

Status RopeConfig::validate() const {
  if (dim <= 0 || dim % 2 != 0)
    return invalid_argument(fmt::format("rope dimension {} is not a positive even number", dim));
  if (!(theta > 0.0F) || !std::isfinite(theta))
    return invalid_argument(fmt::format("rope base {} is not positive", theta));
  if (!(factor > 0.0F) || !std::isfinite(factor)) {
    return invalid_argument(fmt::format("rope scaling factor {} is not positive", factor));
  }
  const bool needs_context =
      scaling == RopeScaling::kDynamic || scaling == RopeScaling::kLlama3 || scaling == RopeScaling::kYarn;
  if (needs_context && original_context <= 0) return invalid_argument("rope scaling needs the original context length");
  if (scaling == RopeScaling::kLlama3 && !(high_freq_factor > low_freq_factor && low_freq_factor > 0.0F)) {
    return invalid_argument("rope scaling needs 0 < low_freq_factor < high_freq_factor");
  }
  if (scaling == RopeScaling::kYarn && !(beta_fast > 0.0F && beta_slow > 0.0F)) {
    return invalid_argument("rope scaling needs positive beta_fast and beta_slow");
  }
  if (!freq_factors.empty()) {
    if (freq_factors.size() != static_cast<std::size_t>(dim / 2)) {
      return invalid_argument(fmt::format("{} rope frequency factors for dimension {}", freq_factors.size(), dim));
    }
    if (std::any_of(freq_factors.begin(), freq_factors.end(), [](float f) { return !(f > 0.0F); })) {
      return invalid_argument("a rope frequency factor is not positive");
    }
  }
  return {};
}

std::vector<float> rope_inv_freq(const RopeConfig& config, std::int64_t context_len) {
  float theta = config.theta;
  if (config.scaling == RopeScaling::kDynamic && context_len > config.original_context) {
    const double stretch = static_cast<double>(config.factor) * static_cast<double>(context_len) /
                               static_cast<double>(config.original_context) -
                           (static_cast<double>(config.factor) - 1.0);
    const auto dim = static_cast<double>(config.dim);
    theta = static_cast<float>(static_cast<double>(theta) * std::pow(stretch, dim / (dim - 2.0)));
  }
  std::vector<float> inv_freq(static_cast<std::size_t>(config.dim / 2));
  for (std::size_t i = 0; i < inv_freq.size(); ++i) {
    inv_freq[i] = 1.0F / position_frequency(theta, static_cast<std::int64_t>(i), config.dim);
    if (config.scaling == RopeScaling::kLinear) inv_freq[i] /= config.factor;
    if (config.scaling == RopeScaling::kLlama3) inv_freq[i] = llama3_scaled(config, inv_freq[i]);
  }
  if (config.scaling == RopeScaling::kYarn) scale_yarn(config, inv_freq);
  for (std::size_t i = 0; i < config.freq_factors.size(); ++i)
    inv_freq[i] /= config.freq_factors[i];
  return inv_freq;
}

float rope_magnitude(const RopeConfig& config) {
  if (config.scaling != RopeScaling::kYarn) return 1.0F;
  if (config.attention_factor) return *config.attention_factor;
  return config.factor <= 1.0F ? 1.0F : 0.1F * std::log(config.factor) + 1.0F;
}

std::vector<float> rope_freq_factors(const RopeConfig& config) {
  RopeConfig plain = config;
  plain.scaling = RopeScaling::kNone;
  plain.freq_factors.clear();
  std::vector<float> factors = rope_inv_freq(plain, 0);
  const std::vector<float> scaled = rope_inv_freq(config, 0);
  for (std::size_t i = 0; i < factors.size(); ++i)
    factors[i] /= scaled[i];
  return factors;
}

Result<Rope> Rope::make(Backend& backend, RopeConfig config) {
  MLXR_RETURN_IF_ERROR(config.validate());
  Rope rope;
  const std::vector<float> inv_freq = rope_inv_freq(config, 0);
  MLXR_ASSIGN_OR_RETURN(rope.inv_freq_,
                        backend.make_constant({config.dim / 2}, DType::kF32, std::as_bytes(std::span(inv_freq))));
  rope.config_ = std::move(config);
  return rope;
}

Tensor Rope::table(const ForwardContext& step) const {
  const float magnitude = rope_magnitude(config_);
  const bool stretched = std::any_of(step.context_len.begin(), step.context_len.end(),
                                     [&](std::int32_t length) { return length > config_.original_context; });
  if (config_.scaling != RopeScaling::kDynamic || !stretched) {
    return step.ops.rope_table(step.positions, inv_freq_, magnitude);
  }
  // Each sequence turns by its own length.
  const auto half = static_cast<std::size_t>(config_.dim / 2);
  std::vector<float> rows(static_cast<std::size_t>(step.num_tokens()) * half);
  for (std::size_t s = 0; s < step.context_len.size(); ++s) {
    const std::vector<float> inv_freq = rope_inv_freq(config_, step.context_len[s]);
    for (std::int32_t row = step.query_start[s]; row < step.query_start[s + 1]; ++row) {
      std::copy(inv_freq.begin(), inv_freq.end(), rows.begin() + static_cast<std::ptrdiff_t>(half) * row);
    }
  }
  Backend& backend = step.ops.backend();
  Tensor per_token = backend.alloc({step.num_tokens(), config_.dim / 2}, DType::kF32);
  backend.write(per_token, std::as_bytes(std::span(rows)));
  return step.ops.rope_table(step.positions, per_token, magnitude);
}

}  // namespace mlxr
