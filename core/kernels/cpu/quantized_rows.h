#pragma once
// Activations in 8 bits: what a quantised weight is multiplied with. A row is cut into groups of 256 elements, each of
// eight blocks of 32 with an f32 scale of their own (K types too: an activation outlier then costs the precision of 32
// elements, not of 256). Sums of the quants ride along, since the offset or minimum of a weight format multiplies them.
//
//   scale = max |x| / 127 of the block, q = round to nearest even (x * (127 / max |x|)), -127 <= q <= 127
//
// so that an element's error is at most scale / 2, give or take an f32 rounding. A block whose maximum is below 2^-100
// is zero; a block with an infinity or a NaN has a NaN scale and zero quants, so that results that read it are NaN.
// Every instruction set gives the same bits.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>

namespace mlxr {

inline constexpr std::int64_t kGroupElements = 256;
inline constexpr std::int64_t kGroupBlocks = 8;

// Elements past the end of the row are zero, with zero scales.
struct alignas(64) ActivationGroup {
  std::int8_t q[256];
  float scale[8];
  float scaled_sum[8];          // scale * sum
  std::int32_t sum[8];          // of a block's quants
  std::int16_t half_sum[8][2];  // of the quants of the first and the second 16 elements of a block
};
static_assert(sizeof(ActivationGroup) == 384);

inline std::int64_t num_groups(std::int64_t elements) {
  return (elements + kGroupElements - 1) / kGroupElements;
}

// Sets *scale for a block whose largest magnitude has these bits; returns the factor that takes x to its quants, 0 when
// they are all zero.
inline float quant_factor(std::uint32_t max_bits, float* scale) {
  constexpr std::uint32_t kInfinity = 0x7f800000U;
  const float max = std::bit_cast<float>(max_bits);
  if (max_bits >= kInfinity) {
    *scale = std::numeric_limits<float>::quiet_NaN();
    return 0.0F;
  }
  *scale = max < 0x1p-100F ? 0.0F : max / 127.0F;
  return max < 0x1p-100F ? 0.0F : 127.0F / max;
}

// Quantises one row: out holds num_groups(elements) groups. `x` needs no alignment.
using QuantizeRowFn = void (*)(const float* x, std::int64_t elements, ActivationGroup* out);

// Portable and the truth for the others.
void quantize_row_reference(const float* x, std::int64_t elements, ActivationGroup* out);

struct ActivationPanel;

// A growing, reusable matrix of groups, or of panels (activation_panel.h) in their place. Not thread-safe in resize();
// distinct rows may be filled by distinct threads.
class QuantizedRows {
 public:
  // Makes room for [rows, elements]; contents are lost. Aborts when the system has no memory.
  void resize(std::int64_t rows, std::int64_t elements);
  std::int64_t groups_per_row() const { return groups_per_row_; }
  ActivationGroup* row(std::int64_t index) { return groups_.get() + index * groups_per_row_; }
  const ActivationGroup* row(std::int64_t index) const { return groups_.get() + index * groups_per_row_; }
  // Group `group` of rows 8 * index .. 8 * index + 7; `rows` is then a multiple of eight.
  ActivationPanel& panel(std::int64_t index, std::int64_t group);

 private:
  std::unique_ptr<ActivationGroup[]> groups_;
  std::int64_t capacity_ = 0;
  std::int64_t groups_per_row_ = 0;
};

}  // namespace mlxr
