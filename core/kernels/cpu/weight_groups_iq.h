#pragma once
// weight_group.h for the formats with codebooks and the ternary ones.

#include "core/kernels/cpu/weight_groups_k.h"
#include "core/quant/iq.h"
#include "core/quant/iq_grids.h"
#include "core/quant/ternary.h"

namespace mlxr {

// Eight magnitudes (1 .. 127, a byte each), negated where bit j of `signs` is set, to q[0 .. 7].
inline void write_signed(std::uint64_t magnitudes, std::uint64_t signs, std::int8_t* q) {
  constexpr std::uint64_t kOnes = 0x0101010101010101U;
  const std::uint64_t spread = (signs * kOnes) & 0x8040201008040201U;       // bit j alone in byte j
  const std::uint64_t negative = ((spread + 0x7f * kOnes) >> 7 & kOnes);    // 1 in bytes to negate
  const std::uint64_t value = (magnitudes ^ (negative * 0xff)) + negative;  // never carries: no byte is 0
  std::memcpy(q, &value, 8);
}

inline std::uint64_t two_rows(std::uint32_t first, std::uint32_t second) {
  return first | (static_cast<std::uint64_t>(second) << 32);
}

template <>
struct PortableGroup<QuantType::kIQ2_XXS> : KGroup<BlockIQ2_XXS> {
  static void scales(const std::uint8_t* group, GroupScales& out) {
    const float d = load_f16(group + offsetof(BlockIQ2_XXS, d));
    for (std::size_t b = 0; b < 8; ++b) {
      const auto signs = load_bytes<std::uint32_t>(group + offsetof(BlockIQ2_XXS, qs) + 8 * b + 4);
      out.scale[b] = d * (0.5F + static_cast<float>(signs >> 28)) * 0.25F;
    }
  }

  static void unpack(const std::uint8_t* group, std::int8_t* q) {
    for (std::size_t b = 0; b < 8; ++b) {
      const std::uint8_t* chunk = group + offsetof(BlockIQ2_XXS, qs) + 8 * b;
      const auto signs = load_bytes<std::uint32_t>(chunk + 4);
      for (std::size_t l = 0; l < 4; ++l)
        write_signed(kIq2XxsGrid[chunk[l]], iq_signs((signs >> (7 * l)) & 127), q + 32 * b + 8 * l);
    }
  }
};

// Half scales 2 s + 1 from eight bytes of four-bit s; d / 8 is left for the block.
inline void iq2_half_scales(const std::uint8_t* packed, float d, GroupScales& out) {
  fill_scales(out.scale, d * 0.125F);
  for (std::size_t s = 0; s < 16; ++s)
    out.half[s] = static_cast<std::int8_t>(2 * ((packed[s / 2] >> (4 * (s % 2))) & 15) + 1);
}

template <>
struct PortableGroup<QuantType::kIQ2_XS> : KGroup<BlockIQ2_XS> {
  static constexpr bool kHalfScales = true;
  static constexpr int kHalfZeroLog2 = 6;

  static void scales(const std::uint8_t* group, GroupScales& out) {
    iq2_half_scales(group + offsetof(BlockIQ2_XS, scales), load_f16(group + offsetof(BlockIQ2_XS, d)), out);
  }

  static void unpack(const std::uint8_t* group, std::int8_t* q) {
    for (std::size_t g = 0; g < 32; ++g) {
      const unsigned index = load_bytes<std::uint16_t>(group + offsetof(BlockIQ2_XS, qs) + 2 * g);
      write_signed(kIq2XsGrid[index & 511], iq_signs(index >> 9), q + 8 * g);
    }
  }
};

template <>
struct PortableGroup<QuantType::kIQ2_S> : KGroup<BlockIQ2_S> {
  static constexpr bool kHalfScales = true;
  static constexpr int kHalfZeroLog2 = 6;

  static void scales(const std::uint8_t* group, GroupScales& out) {
    iq2_half_scales(group + offsetof(BlockIQ2_S, scales), load_f16(group + offsetof(BlockIQ2_S, d)), out);
  }

  static void unpack(const std::uint8_t* group, std::int8_t* q) {
    for (std::size_t g = 0; g < 32; ++g) {
      const unsigned high = (group[offsetof(BlockIQ2_S, qh) + g / 4] >> (2 * (g % 4))) & 3U;
      const std::uint64_t row = kIq2SGrid[group[offsetof(BlockIQ2_S, qs) + g] | (high << 8)];
      write_signed(row, group[offsetof(BlockIQ2_S, signs) + g], q + 8 * g);
    }
  }
};

template <>
struct PortableGroup<QuantType::kIQ3_XXS> : KGroup<BlockIQ3_XXS> {
  static void scales(const std::uint8_t* group, GroupScales& out) {
    const float d = load_f16(group + offsetof(BlockIQ3_XXS, d));
    for (std::size_t b = 0; b < 8; ++b) {
      const auto signs = load_bytes<std::uint32_t>(group + offsetof(BlockIQ3_XXS, signs) + 4 * b);
      out.scale[b] = d * (0.5F + static_cast<float>(signs >> 28)) * 0.5F;
    }
  }

  static void unpack(const std::uint8_t* group, std::int8_t* q) {
    for (std::size_t g = 0; g < 32; ++g) {
      const auto signs = load_bytes<std::uint32_t>(group + offsetof(BlockIQ3_XXS, signs) + 4 * (g / 4));
      const std::uint8_t* index = group + offsetof(BlockIQ3_XXS, qs) + 2 * g;
      write_signed(two_rows(kIq3XxsGrid[index[0]], kIq3XxsGrid[index[1]]), iq_signs((signs >> (7 * (g % 4))) & 127),
                   q + 8 * g);
    }
  }
};

template <>
struct PortableGroup<QuantType::kIQ3_S> : KGroup<BlockIQ3_S> {
  static void scales(const std::uint8_t* group, GroupScales& out) {
    const float d = load_f16(group + offsetof(BlockIQ3_S, d));
    for (std::size_t b = 0; b < 8; ++b) {
      const int s = (group[offsetof(BlockIQ3_S, scales) + b / 2] >> (4 * (b % 2))) & 15;
      out.scale[b] = d * static_cast<float>(1 + 2 * s);
    }
  }

  static void unpack(const std::uint8_t* group, std::int8_t* q) {
    for (std::size_t g = 0; g < 32; ++g) {
      const std::uint8_t* index = group + offsetof(BlockIQ3_S, qs) + 2 * g;
      const unsigned high = static_cast<unsigned>(group[offsetof(BlockIQ3_S, qh) + g / 4]) >> (2 * (g % 4));
      const std::uint64_t row =
          two_rows(kIq3SGrid[index[0] | ((high & 1U) << 8)], kIq3SGrid[index[1] | ((high & 2U) << 7)]);
      write_signed(row, group[offsetof(BlockIQ3_S, signs) + g], q + 8 * g);
    }
  }
};

// q = 8 * row[j] + 1 or - 1, which stands for row[j] + delta with an eighth of the scale.
inline void write_with_delta(std::uint64_t row, bool negative, std::int8_t* q) {
  for (std::size_t j = 0; j < 8; ++j) {
    const auto value = static_cast<std::int8_t>(row >> (8 * j) & 0xff);
    q[j] = static_cast<std::int8_t>(8 * value + (negative ? -1 : 1));
  }
}

template <>
struct PortableGroup<QuantType::kIQ1_S> : KGroup<BlockIQ1_S> {
  static void scales(const std::uint8_t* group, GroupScales& out) {
    const float d = load_f16(group + offsetof(BlockIQ1_S, d));
    for (std::size_t b = 0; b < 8; ++b) {
      const unsigned qh = load_bytes<std::uint16_t>(group + offsetof(BlockIQ1_S, qh) + 2 * b);
      out.scale[b] = d * static_cast<float>(2 * ((qh >> 12) & 7U) + 1) * 0.125F;
    }
  }

  static void unpack(const std::uint8_t* group, std::int8_t* q) {
    for (std::size_t g = 0; g < 32; ++g) {
      const unsigned qh = load_bytes<std::uint16_t>(group + offsetof(BlockIQ1_S, qh) + 2 * (g / 4));
      const unsigned high = (qh >> (3 * (g % 4))) & 7U;
      write_with_delta(kIq1Grid[group[offsetof(BlockIQ1_S, qs) + g] | (high << 8)], (qh & 0x8000U) != 0, q + 8 * g);
    }
  }
};

template <>
struct PortableGroup<QuantType::kIQ1_M> : KGroup<BlockIQ1_M> {
  static constexpr bool kHalfScales = true;
  static constexpr int kHalfZeroLog2 = 4;

  static void scales(const std::uint8_t* group, GroupScales& out) {
    unsigned d = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      const unsigned packed = load_bytes<std::uint16_t>(group + offsetof(BlockIQ1_M, scales) + 2 * i);
      d |= (packed >> 12) << (4 * i);
      for (std::size_t s = 0; s < 4; ++s)
        out.half[4 * i + s] = static_cast<std::int8_t>(2 * ((packed >> (3 * s)) & 7U) + 1);
    }
    fill_scales(out.scale, f16_to_f32(static_cast<std::uint16_t>(d)) * 0.125F);
  }

  static void unpack(const std::uint8_t* group, std::int8_t* q) {
    for (std::size_t g = 0; g < 32; ++g) {
      const unsigned qh = static_cast<unsigned>(group[offsetof(BlockIQ1_M, qh) + g / 2]) >> (4 * (g % 2));
      write_with_delta(kIq1Grid[group[offsetof(BlockIQ1_M, qs) + g] | ((qh & 7U) << 8)], (qh & 8U) != 0, q + 8 * g);
    }
  }
};

template <>
struct PortableGroup<QuantType::kTQ1_0> : KGroup<BlockTQ1_0> {
  static void scales(const std::uint8_t* group, GroupScales& out) {
    fill_scales(out.scale, load_f16(group + offsetof(BlockTQ1_0, d)));
  }

  // Digit n of `count` bytes in a row, for n = 0 .. num_digits - 1.
  static void unpack_digits(const std::uint8_t* bytes, std::size_t count, std::size_t num_digits, std::int8_t* q) {
    unsigned power = 1;
    for (std::size_t n = 0; n < num_digits; ++n, power *= 3) {
      for (std::size_t m = 0; m < count; ++m)
        q[n * count + m] = static_cast<std::int8_t>(static_cast<int>((bytes[m] * power & 0xff) * 3 >> 8) - 1);
    }
  }

  static void unpack(const std::uint8_t* group, std::int8_t* q) {
    unpack_digits(group + offsetof(BlockTQ1_0, qs), 32, 5, q);
    unpack_digits(group + offsetof(BlockTQ1_0, qs) + 32, 16, 5, q + 160);
    unpack_digits(group + offsetof(BlockTQ1_0, qh), 4, 4, q + 240);
  }
};

template <>
struct PortableGroup<QuantType::kTQ2_0> : KGroup<BlockTQ2_0> {
  static void scales(const std::uint8_t* group, GroupScales& out) {
    fill_scales(out.scale, load_f16(group + offsetof(BlockTQ2_0, d)));
  }

  static void unpack(const std::uint8_t* group, std::int8_t* q) {
    for (std::size_t e = 0; e < 256; ++e)
      q[e] = static_cast<std::int8_t>(two_bits(group + offsetof(BlockTQ2_0, qs), e) - 1);
  }
};

template <>
struct PortableGroup<QuantType::kQ1_0> : PlainGroup {
  static constexpr std::size_t kBlockBytes = sizeof(BlockQ1_0);
  static constexpr std::size_t kBytes = 2 * kBlockBytes;
  static constexpr std::int64_t kBlockElements = 128;

  static void scales(const std::uint8_t* group, GroupScales& out) {
    for (std::size_t b = 0; b < 8; ++b)
      out.scale[b] = load_f16(group + b / 4 * kBlockBytes);
  }

  static void unpack(const std::uint8_t* group, std::int8_t* q) {
    for (std::size_t e = 0; e < 256; ++e) {
      const std::uint8_t* bits = group + e / 128 * kBlockBytes + offsetof(BlockQ1_0, qs);
      q[e] = static_cast<std::int8_t>(2 * ((bits[e % 128 / 8] >> (e % 8)) & 1) - 1);
    }
  }
};

template <>
struct PortableGroup<QuantType::kQ2_0> : PlainGroup {
  static constexpr std::size_t kBlockBytes = sizeof(BlockQ2_0);
  static constexpr std::size_t kBytes = 4 * kBlockBytes;
  static constexpr std::int64_t kBlockElements = 64;

  static void scales(const std::uint8_t* group, GroupScales& out) {
    for (std::size_t b = 0; b < 8; ++b)
      out.scale[b] = load_f16(group + b / 2 * kBlockBytes);
  }

  static void unpack(const std::uint8_t* group, std::int8_t* q) {
    for (std::size_t e = 0; e < 256; ++e) {
      const std::uint8_t* quads = group + e / 64 * kBlockBytes + offsetof(BlockQ2_0, qs);
      q[e] = static_cast<std::int8_t>(((quads[e % 64 / 4] >> (e % 4 * 2)) & 3) - 1);
    }
  }
};

}  // namespace mlxr
