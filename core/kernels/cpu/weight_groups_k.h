#pragma once
// weight_group.h for the K formats and IQ4_XS: 256 elements a block.

#include "core/kernels/cpu/weight_group.h"
#include "core/quant/iq4.h"
#include "core/quant/iq_grids.h"
#include "core/quant/kquant.h"

namespace mlxr {

// A format of 256 elements a block.
template <class Block>
struct KGroup : PlainGroup {
  static constexpr std::size_t kBytes = sizeof(Block);
  static constexpr std::size_t kBlockBytes = sizeof(Block);
  static constexpr std::int64_t kBlockElements = 256;
};

// Scales and minima of Q4_K and Q5_K: six bits each in 12 bytes; byte j of the words is that of block j.
struct ScaleMinWords {
  std::uint64_t scales;
  std::uint64_t mins;
};

inline ScaleMinWords unpack_scale_min_words(const std::uint8_t* packed) {
  const auto a = load_bytes<std::uint32_t>(packed);
  const auto b = load_bytes<std::uint32_t>(packed + 4);
  const auto c = load_bytes<std::uint32_t>(packed + 8);
  const std::uint32_t high_scales = (c & 0x0f0f0f0fU) | ((a >> 2) & 0x30303030U);
  const std::uint32_t high_mins = ((c >> 4) & 0x0f0f0f0fU) | ((b >> 2) & 0x30303030U);
  return {(a & 0x3f3f3f3fU) | (static_cast<std::uint64_t>(high_scales) << 32),
          (b & 0x3f3f3f3fU) | (static_cast<std::uint64_t>(high_mins) << 32)};
}

// Two-bit element e of the order that Q2_K and Q3_K share.
inline int two_bits(const std::uint8_t* qs, std::size_t e) {
  return (qs[32 * (e / 128) + e % 32] >> (2 * (e % 128 / 32))) & 3;
}

template <>
struct PortableGroup<QuantType::kQ2_K> : KGroup<BlockQ2_K> {
  static constexpr bool kHalfScales = true;
  static constexpr bool kHalfMins = true;

  static void scales(const std::uint8_t* group, GroupScales& out) {
    fill_scales(out.scale, load_f16(group + offsetof(BlockQ2_K, d)));
    fill_scales(out.min, load_f16(group + offsetof(BlockQ2_K, dmin)));
    for (std::size_t s = 0; s < 16; ++s) {
      out.half[s] = static_cast<std::int8_t>(group[offsetof(BlockQ2_K, scales) + s] & 15);
      out.half_min[s] = static_cast<std::int8_t>(group[offsetof(BlockQ2_K, scales) + s] >> 4);
    }
  }

  static void unpack(const std::uint8_t* group, std::int8_t* q) {
    for (std::size_t e = 0; e < 256; ++e)
      q[e] = static_cast<std::int8_t>(two_bits(group + offsetof(BlockQ2_K, qs), e));
  }
};

template <>
struct PortableGroup<QuantType::kQ3_K> : KGroup<BlockQ3_K> {
  static constexpr bool kHalfScales = true;
  static constexpr int kHalfZeroLog2 = 2;

  static void scales(const std::uint8_t* group, GroupScales& out) {
    fill_scales(out.scale, load_f16(group + offsetof(BlockQ3_K, d)));
    const std::uint8_t* packed = group + offsetof(BlockQ3_K, scales);
    for (std::size_t s = 0; s < 16; ++s) {
      const int low = (packed[s % 8] >> (4 * (s / 8))) & 15;
      const int high = (packed[8 + s % 4] >> (2 * (s / 4))) & 3;
      out.half[s] = static_cast<std::int8_t>((low | (high << 4)) - 32);
    }
  }

  static void unpack(const std::uint8_t* group, std::int8_t* q) {
    const std::uint8_t* hmask = group + offsetof(BlockQ3_K, hmask);
    for (std::size_t e = 0; e < 256; ++e) {
      const int high = (hmask[e % 32] >> (e / 32)) & 1;
      q[e] = static_cast<std::int8_t>((two_bits(group + offsetof(BlockQ3_K, qs), e) | (high << 2)) - 4);
    }
  }
};

template <>
struct PortableGroup<QuantType::kQ4_K> : KGroup<BlockQ4_K> {
  static constexpr bool kHasMin = true;

  static void scales(const std::uint8_t* group, GroupScales& out) {
    const float d = load_f16(group + offsetof(BlockQ4_K, d));
    const float dmin = load_f16(group + offsetof(BlockQ4_K, dmin));
    const ScaleMinWords words = unpack_scale_min_words(group + offsetof(BlockQ4_K, scales));
    for (std::size_t b = 0; b < 8; ++b) {
      out.scale[b] = d * static_cast<float>((words.scales >> (8 * b)) & 63);
      out.min[b] = dmin * static_cast<float>((words.mins >> (8 * b)) & 63);
    }
  }

  static void unpack(const std::uint8_t* group, std::int8_t* q) {
    const std::uint8_t* qs = group + offsetof(BlockQ4_K, qs);
    for (std::size_t pair = 0; pair < 4; ++pair) {
      for (std::size_t i = 0; i < 32; ++i) {
        q[64 * pair + i] = static_cast<std::int8_t>(qs[32 * pair + i] & 15);
        q[64 * pair + 32 + i] = static_cast<std::int8_t>(qs[32 * pair + i] >> 4);
      }
    }
  }
};

template <>
struct PortableGroup<QuantType::kQ5_K> : KGroup<BlockQ5_K> {
  static constexpr bool kHasMin = true;
  static_assert(offsetof(BlockQ5_K, d) == offsetof(BlockQ4_K, d));
  static_assert(offsetof(BlockQ5_K, dmin) == offsetof(BlockQ4_K, dmin));
  static_assert(offsetof(BlockQ5_K, scales) == offsetof(BlockQ4_K, scales));

  static void scales(const std::uint8_t* group, GroupScales& out) {
    PortableGroup<QuantType::kQ4_K>::scales(group, out);
  }

  static void unpack(const std::uint8_t* group, std::int8_t* q) {
    const std::uint8_t* qs = group + offsetof(BlockQ5_K, qs);
    const std::uint8_t* qh = group + offsetof(BlockQ5_K, qh);
    for (std::size_t pair = 0; pair < 4; ++pair) {
      for (std::size_t i = 0; i < 32; ++i) {
        const int low_high = (qh[i] >> (2 * pair)) & 1;
        const int high_high = (qh[i] >> (2 * pair + 1)) & 1;
        q[64 * pair + i] = static_cast<std::int8_t>((qs[32 * pair + i] & 15) | (low_high << 4));
        q[64 * pair + 32 + i] = static_cast<std::int8_t>((qs[32 * pair + i] >> 4) | (high_high << 4));
      }
    }
  }
};

template <>
struct PortableGroup<QuantType::kQ6_K> : KGroup<BlockQ6_K> {
  static constexpr bool kHalfScales = true;
  static constexpr int kHalfZeroLog2 = 5;

  static void scales(const std::uint8_t* group, GroupScales& out) {
    fill_scales(out.scale, load_f16(group + offsetof(BlockQ6_K, d)));
    std::memcpy(out.half, group + offsetof(BlockQ6_K, scales), 16);
  }

  static void unpack(const std::uint8_t* group, std::int8_t* q) {
    for (std::size_t half = 0; half < 2; ++half) {
      const std::uint8_t* ql = group + offsetof(BlockQ6_K, ql) + 64 * half;
      const std::uint8_t* qh = group + offsetof(BlockQ6_K, qh) + 32 * half;
      for (std::size_t i = 0; i < 32; ++i) {
        std::int8_t* to = q + 128 * half + i;
        to[0] = static_cast<std::int8_t>(((ql[i] & 15) | ((qh[i] & 3) << 4)) - 32);
        to[32] = static_cast<std::int8_t>(((ql[i + 32] & 15) | (((qh[i] >> 2) & 3) << 4)) - 32);
        to[64] = static_cast<std::int8_t>(((ql[i] >> 4) | (((qh[i] >> 4) & 3) << 4)) - 32);
        to[96] = static_cast<std::int8_t>(((ql[i + 32] >> 4) | ((qh[i] >> 6) << 4)) - 32);
      }
    }
  }
};

template <>
struct PortableGroup<QuantType::kIQ4_XS> : KGroup<BlockIQ4_XS> {
  static void scales(const std::uint8_t* group, GroupScales& out) {
    const float d = load_f16(group + offsetof(BlockIQ4_XS, d));
    const auto high = load_bytes<std::uint16_t>(group + offsetof(BlockIQ4_XS, scales_h));
    for (std::size_t b = 0; b < 8; ++b) {
      const int low = (group[offsetof(BlockIQ4_XS, scales_l) + b / 2] >> (4 * (b % 2))) & 15;
      out.scale[b] = d * static_cast<float>((low | ((high >> (2 * b)) & 3) << 4) - 32);
    }
  }

  static void unpack(const std::uint8_t* group, std::int8_t* q) {
    for (std::size_t b = 0; b < 8; ++b) {
      const std::uint8_t* nibbles = group + offsetof(BlockIQ4_XS, qs) + 16 * b;
      for (std::size_t i = 0; i < 16; ++i) {
        q[32 * b + i] = kIq4Values[nibbles[i] & 15];
        q[32 * b + i + 16] = kIq4Values[nibbles[i] >> 4];
      }
    }
  }
};

}  // namespace mlxr
