#include "core/quant/iq4.h"

#include "core/base/float16.h"
#include "core/quant/block_io.h"
#include "core/quant/iq_grids.h"

namespace mlxr {
namespace {

void decode_levels(const std::uint8_t* qs, float scale, float* out) {
  for (std::size_t j = 0; j < 16; ++j) {
    out[j] = scale * static_cast<float>(kIq4Values[qs[j] & 15]);
    out[j + 16] = scale * static_cast<float>(kIq4Values[qs[j] >> 4]);
  }
}

}  // namespace

void decode_iq4_nl(const std::byte* blocks, std::span<float> out) {
  for (std::size_t b = 0; b < out.size() / kIq4NlBlock; ++b) {
    const auto block = load_block<BlockIQ4_NL>(blocks, b);
    decode_levels(block.qs, f16_to_f32(block.d), out.data() + b * kIq4NlBlock);
  }
}

void decode_iq4_xs(const std::byte* blocks, std::span<float> out) {
  for (std::size_t b = 0; b < out.size() / kIq4XsBlock; ++b) {
    const auto block = load_block<BlockIQ4_XS>(blocks, b);
    for (std::size_t k = 0; k < 8; ++k) {
      const int low = (block.scales_l[k / 2] >> (4 * (k % 2))) & 15;
      const int high = (block.scales_h >> (2 * k)) & 3;
      const float scale = f16_to_f32(block.d) * static_cast<float>((low | (high << 4)) - 32);
      decode_levels(block.qs + 16 * k, scale, out.data() + b * kIq4XsBlock + 32 * k);
    }
  }
}

}  // namespace mlxr
