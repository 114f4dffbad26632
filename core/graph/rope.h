#pragma once
// Rotary position embedding (Su et al. 2021, arXiv:2104.09864) and the ways in which models stretch it past the context
// they were trained with.

#include <cstdint>
#include <optional>
#include <vector>

#include "core/backend/ops.h"
#include "core/base/status.h"
#include "core/graph/forward_context.h"

namespace mlxr {

enum class RopeScaling : std::uint8_t {
  kNone,
  kLinear,   // positions divided by factor (position interpolation, arXiv:2306.15595)
  kDynamic,  // base grows once a sequence passes original_context (Hugging Face "dynamic", NTK-aware)
  kLlama3,   // low frequencies divided by factor, high ones kept, a ramp between
  kYarn,     // YaRN (arXiv:2309.00071): the same by rotations, and a temperature on the scores
};

struct RopeConfig {
  RopeStyle style = RopeStyle::kNeox;
  std::int64_t dim = 0;  // rotated elements of a head; even
  float theta = 10000.0F;
  RopeScaling scaling = RopeScaling::kNone;
  float factor = 1.0F;
  std::int64_t original_context = 0;      // kDynamic, kLlama3, kYarn: context length of the training
  float low_freq_factor = 1.0F;           // kLlama3
  float high_freq_factor = 4.0F;          // kLlama3
  float beta_fast = 32.0F;                // kYarn
  float beta_slow = 1.0F;                 // kYarn
  bool truncate = true;                   // kYarn: the ramp starts and ends at whole dimensions
  std::optional<float> attention_factor;  // kYarn: magnitude of the table; default 0.1 ln(factor) + 1
  std::vector<float> freq_factors;        // dim/2 divisors of the frequencies (GGUF's rope_freqs.weight), or empty

  Status validate() const;
};

// inv_freq[dim/2] for a sequence of `context_len` tokens (which only kDynamic looks at), computed in f32 as Hugging
// Face does, so that angles agree with it to the last bits.
std::vector<float> rope_inv_freq(const RopeConfig& config, std::int64_t context_len);
// Factor on cosines and sines.
float rope_magnitude(const RopeConfig& config);
// For files that store divisors instead of parameters: plain inv_freq / scaled inv_freq.
std::vector<float> rope_freq_factors(const RopeConfig& config);

class Rope {
 public:
  static Result<Rope> make(Backend& backend, RopeConfig config);
  // Cosines and sines of this step's positions, [tokens, dim]; every layer uses the same ones.
  Tensor table(const ForwardContext& step) const;
  const RopeConfig& config() const { return config_; }

 private:
  RopeConfig config_;
  Tensor inv_freq_;  // [dim/2]
};

}  // namespace mlxr
