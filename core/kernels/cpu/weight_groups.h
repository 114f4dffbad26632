#pragma once
// Weight formats as the kernels see them: groups of 256 elements (a K block, or eight legacy blocks in a row), each of
// eight blocks of 32 with
//
//   x = scale * q - min                  plain formats (min where kHasMin)
//   x = scale * half[e / 16] * q         formats with a whole-number scale for every 16 elements (kHalfScales)
//
// where q is a whole number of 8 bits. The product with an activation group is then, for each block, one exact integer
// sum (of q, or of half * q) and one or two f32 multiply-adds. This file is the portable truth of that view;
// instruction sets unpack the same bytes in their own way to the same numbers.

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/base/float16.h"
#include "core/quant/kquant.h"
#include "core/quant/legacy.h"
#include "core/quant/quant.h"

namespace mlxr {

struct GroupScales {
  float scale[8];
  float min[8];
  std::int8_t half[16];
};

// Bytes at `p`, which needs no alignment.
template <class T>
T load_bytes(const std::uint8_t* p) {
  T value;
  std::memcpy(&value, p, sizeof(T));
  return value;
}

inline float load_f16(const std::uint8_t* p) {
  return f16_to_f32(load_bytes<std::uint16_t>(p));
}

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

template <QuantType kType>
struct PortableGroup;

// Formats of 32 elements a block with a binary16 scale in front.
template <class Block>
struct LegacyGroup {
  static constexpr std::size_t kBytes = 8 * sizeof(Block);
  static constexpr std::size_t kBlockBytes = sizeof(Block);
  static constexpr std::int64_t kBlockElements = 32;
  static constexpr bool kHasMin = false;
  static constexpr bool kHalfScales = false;

  static void scales(const std::uint8_t* group, GroupScales& out) {
    for (std::size_t b = 0; b < 8; ++b)
      out.scale[b] = load_f16(group + b * kBlockBytes);
  }
};

struct KGroup {
  static constexpr std::int64_t kBlockElements = 256;
  static constexpr bool kHasMin = false;
  static constexpr bool kHalfScales = false;
};

template <>
struct PortableGroup<QuantType::kQ8_0> : LegacyGroup<BlockQ8_0> {
  static void unpack(const std::uint8_t* group, std::int8_t* q) {
    for (std::size_t b = 0; b < 8; ++b)
      std::memcpy(q + 32 * b, group + b * kBlockBytes + offsetof(BlockQ8_0, qs), 32);
  }
};

template <>
struct PortableGroup<QuantType::kQ4_0> : LegacyGroup<BlockQ4_0> {
  static void unpack(const std::uint8_t* group, std::int8_t* q) {
    for (std::size_t b = 0; b < 8; ++b) {
      const std::uint8_t* nibbles = group + b * kBlockBytes + offsetof(BlockQ4_0, qs);
      for (std::size_t i = 0; i < 16; ++i) {
        q[32 * b + i] = static_cast<std::int8_t>((nibbles[i] & 15) - 8);
        q[32 * b + i + 16] = static_cast<std::int8_t>((nibbles[i] >> 4) - 8);
      }
    }
  }
};

template <>
struct PortableGroup<QuantType::kQ4_K> : KGroup {
  static constexpr std::size_t kBytes = sizeof(BlockQ4_K);
  static constexpr std::size_t kBlockBytes = kBytes;
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
struct PortableGroup<QuantType::kQ5_K> : PortableGroup<QuantType::kQ4_K> {
  static constexpr std::size_t kBytes = sizeof(BlockQ5_K);
  static constexpr std::size_t kBlockBytes = kBytes;
  static_assert(offsetof(BlockQ5_K, d) == offsetof(BlockQ4_K, d));
  static_assert(offsetof(BlockQ5_K, dmin) == offsetof(BlockQ4_K, dmin));
  static_assert(offsetof(BlockQ5_K, scales) == offsetof(BlockQ4_K, scales));

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
struct PortableGroup<QuantType::kQ6_K> : KGroup {
  static constexpr std::size_t kBytes = sizeof(BlockQ6_K);
  static constexpr std::size_t kBlockBytes = kBytes;
  static constexpr bool kHalfScales = true;

  static void scales(const std::uint8_t* group, GroupScales& out) {
    const float d = load_f16(group + offsetof(BlockQ6_K, d));
    for (float& scale : out.scale)
      scale = d;
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

}  // namespace mlxr
