#include "core/quant/iq.h"

#include "core/base/float16.h"
#include "core/quant/block_io.h"
#include "core/quant/iq_grids.h"

namespace mlxr {
namespace {

// Calls decode(block, out) for each block of 256 elements.
template <class Block, class Decode>
void for_each_block(const std::byte* blocks, std::span<float> out, Decode decode) {
  for (std::size_t b = 0; b < out.size() / kIqBlock; ++b) {
    decode(load_block<Block>(blocks, b), out.data() + b * kIqBlock);
  }
}

// Writes one codebook row: out[j] = scale * row[j], negated where bit j of `signs` is set.
template <class Row>
void write_row(float scale, Row row, unsigned signs, float* out) {
  for (unsigned j = 0; j < sizeof(Row); ++j) {
    const float magnitude = scale * static_cast<float>((row >> (8 * j)) & 0xff);
    out[j] = ((signs >> j) & 1U) != 0 ? -magnitude : magnitude;
  }
}

// A group of 8 from two rows of 4.
void write_rows(float scale, std::uint32_t first, std::uint32_t second, unsigned signs, float* out) {
  write_row(scale, first, signs, out);
  write_row(scale, second, signs >> 4, out + 4);
}

void write_ternary_row(float scale, std::uint64_t row, float delta, float* out) {
  for (unsigned j = 0; j < 8; ++j) {
    const auto value = static_cast<std::int8_t>((row >> (8 * j)) & 0xff);
    out[j] = scale * (static_cast<float>(value) + delta);
  }
}

// Half 0 (low) or 1 (high) of a byte.
unsigned half_of(std::uint8_t byte, std::size_t half) {
  return half == 0 ? byte & 15U : byte >> 4U;
}

float iq2_scale(float d, unsigned s) {
  return d * (0.5F + static_cast<float>(s)) * 0.25F;
}

}  // namespace

void decode_iq2_xxs(const std::byte* blocks, std::span<float> out) {
  for_each_block<BlockIQ2_XXS>(blocks, out, [](const BlockIQ2_XXS& block, float* x) {
    for (std::size_t k = 0; k < 8; ++k) {
      const std::uint16_t* q = block.qs + 4 * k;
      const std::uint32_t indices = q[0] | (static_cast<std::uint32_t>(q[1]) << 16);
      const std::uint32_t signs = q[2] | (static_cast<std::uint32_t>(q[3]) << 16);
      const float scale = iq2_scale(f16_to_f32(block.d), signs >> 28);
      for (unsigned l = 0; l < 4; ++l) {
        const std::uint64_t row = kIq2XxsGrid[(indices >> (8 * l)) & 0xff];
        write_row(scale, row, iq_signs((signs >> (7 * l)) & 127), x + 32 * k + 8 * l);
      }
    }
  });
}

void decode_iq2_xs(const std::byte* blocks, std::span<float> out) {
  for_each_block<BlockIQ2_XS>(blocks, out, [](const BlockIQ2_XS& block, float* x) {
    for (std::size_t g = 0; g < 32; ++g) {
      const float scale = iq2_scale(f16_to_f32(block.d), half_of(block.scales[g / 4], g % 4 / 2));
      const unsigned q = block.qs[g];
      write_row(scale, kIq2XsGrid[q & 511], iq_signs(q >> 9), x + 8 * g);
    }
  });
}

void decode_iq2_s(const std::byte* blocks, std::span<float> out) {
  for_each_block<BlockIQ2_S>(blocks, out, [](const BlockIQ2_S& block, float* x) {
    for (std::size_t g = 0; g < 32; ++g) {
      const float scale = iq2_scale(f16_to_f32(block.d), half_of(block.scales[g / 4], g % 4 / 2));
      const unsigned high = (block.qh[g / 4] >> (2 * (g % 4))) & 3U;
      write_row(scale, kIq2SGrid[block.qs[g] | (high << 8)], block.signs[g], x + 8 * g);
    }
  });
}

void decode_iq3_xxs(const std::byte* blocks, std::span<float> out) {
  for_each_block<BlockIQ3_XXS>(blocks, out, [](const BlockIQ3_XXS& block, float* x) {
    for (std::size_t k = 0; k < 8; ++k) {
      const std::uint8_t* word = block.signs[k];
      const std::uint32_t signs = word[0] | (static_cast<std::uint32_t>(word[1]) << 8) |
                                  (static_cast<std::uint32_t>(word[2]) << 16) |
                                  (static_cast<std::uint32_t>(word[3]) << 24);
      const float scale = f16_to_f32(block.d) * (0.5F + static_cast<float>(signs >> 28)) * 0.5F;
      for (unsigned l = 0; l < 4; ++l) {
        const std::uint8_t* q = block.qs + 8 * k + 2 * l;
        write_rows(scale, kIq3XxsGrid[q[0]], kIq3XxsGrid[q[1]], iq_signs((signs >> (7 * l)) & 127), x + 32 * k + 8 * l);
      }
    }
  });
}

void decode_iq3_s(const std::byte* blocks, std::span<float> out) {
  for_each_block<BlockIQ3_S>(blocks, out, [](const BlockIQ3_S& block, float* x) {
    for (std::size_t g = 0; g < 32; ++g) {
      const std::size_t k = g / 4;
      const unsigned s = half_of(block.scales[k / 2], k % 2);
      const float scale = f16_to_f32(block.d) * static_cast<float>(1 + 2 * s);
      const unsigned high = block.qh[k] >> (2 * (g % 4));
      const std::uint32_t first = kIq3SGrid[block.qs[2 * g] | ((high & 1U) << 8)];
      const std::uint32_t second = kIq3SGrid[block.qs[2 * g + 1] | ((high & 2U) << 7)];
      write_rows(scale, first, second, block.signs[g], x + 8 * g);
    }
  });
}

void decode_iq1_s(const std::byte* blocks, std::span<float> out) {
  for_each_block<BlockIQ1_S>(blocks, out, [](const BlockIQ1_S& block, float* x) {
    for (std::size_t g = 0; g < 32; ++g) {
      const unsigned qh = block.qh[g / 4];
      const float scale = f16_to_f32(block.d) * static_cast<float>(2 * ((qh >> 12) & 7U) + 1);
      const float delta = (qh & 0x8000U) != 0 ? -0.125F : 0.125F;
      const unsigned high = (qh >> (3 * (g % 4))) & 7U;
      write_ternary_row(scale, kIq1Grid[block.qs[g] | (high << 8)], delta, x + 8 * g);
    }
  });
}

void decode_iq1_m(const std::byte* blocks, std::span<float> out) {
  for_each_block<BlockIQ1_M>(blocks, out, [](const BlockIQ1_M& block, float* x) {
    unsigned d_bits = 0;
    for (unsigned i = 0; i < 4; ++i)
      d_bits |= static_cast<unsigned>(block.scales[i] >> 12) << (4 * i);
    const float d = f16_to_f32(static_cast<std::uint16_t>(d_bits));
    for (std::size_t g = 0; g < 32; ++g) {
      const std::size_t pair = g / 2;
      const unsigned s = (block.scales[pair / 4] >> (3 * (pair % 4))) & 7U;
      const unsigned qh = half_of(block.qh[pair], g % 2);
      const float delta = (qh & 8U) != 0 ? -0.125F : 0.125F;
      write_ternary_row(d * static_cast<float>(2 * s + 1), kIq1Grid[block.qs[g] | ((qh & 7U) << 8)], delta, x + 8 * g);
    }
  });
}

}  // namespace mlxr
