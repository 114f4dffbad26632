#include "core/kernels/cpu/quantized_rows.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/kernels/cpu/activation_panel.h"

namespace mlxr {
namespace {

void quantize_block(const float* x, std::int64_t count, int b, ActivationGroup& out) {
  std::uint32_t max_bits = 0;
  for (std::int64_t i = 0; i < count; ++i)
    max_bits = std::max(max_bits, std::bit_cast<std::uint32_t>(x[i]) & 0x7fffffffU);
  const float factor = quant_factor(max_bits, &out.scale[b]);
  int half_sum[2] = {0, 0};
  for (std::int64_t i = 0; i < 32; ++i) {
    const bool empty = i >= count || factor == 0.0F;
    const int q = empty ? 0 : static_cast<int>(std::nearbyint(x[i] * factor));
    out.q[32 * b + i] = static_cast<std::int8_t>(q);
    half_sum[i / 16] += q;
  }
  out.half_sum[b][0] = static_cast<std::int16_t>(half_sum[0]);
  out.half_sum[b][1] = static_cast<std::int16_t>(half_sum[1]);
  out.sum[b] = half_sum[0] + half_sum[1];
  out.scaled_sum[b] = out.scale[b] * static_cast<float>(out.sum[b]);
}

}  // namespace

void quantize_row_reference(const float* x, std::int64_t elements, ActivationGroup* out) {
  for (std::int64_t g = 0; g < num_groups(elements); ++g) {
    for (int b = 0; b < 8; ++b) {
      const std::int64_t first = g * kGroupElements + 32 * b;
      const std::int64_t count = std::clamp<std::int64_t>(elements - first, 0, 32);
      quantize_block(x + (count == 0 ? 0 : first), count, b, out[g]);
    }
  }
}

void QuantizedRows::resize(std::int64_t rows, std::int64_t elements) {
  groups_per_row_ = num_groups(elements);
  const std::int64_t needed = rows * groups_per_row_;
  if (needed <= capacity_) return;
  groups_.reset();
  groups_ = std::make_unique_for_overwrite<ActivationGroup[]>(static_cast<std::size_t>(needed));
  capacity_ = needed;
}

ActivationPanel& QuantizedRows::panel(std::int64_t index, std::int64_t group) {
  auto* panels = reinterpret_cast<ActivationPanel*>(row(index * kPanelTokens));
  return panels[group];
}

}  // namespace mlxr
