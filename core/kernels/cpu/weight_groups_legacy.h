#pragma once
// weight_group.h for formats of 32 elements a block.

#include "core/kernels/cpu/weight_group.h"
#include "core/quant/fp4.h"
#include "core/quant/iq4.h"
#include "core/quant/iq_grids.h"
#include "core/quant/legacy.h"

namespace mlxr {

// A format of 32 elements a block with a binary16 scale in front.
template <class Block>
struct LegacyGroup : PlainGroup {
  static constexpr std::size_t kBytes = 8 * sizeof(Block);
  static constexpr std::size_t kBlockBytes = sizeof(Block);
  static constexpr std::int64_t kBlockElements = 32;

  static void scales(const std::uint8_t* group, GroupScales& out) {
    for (std::size_t b = 0; b < 8; ++b)
      out.scale[b] = load_f16(group + b * kBlockBytes);
  }
};

// One with an offset after the scale: x = d * q + m.
template <class Block>
struct LegacyOffsetGroup : LegacyGroup<Block> {
  static constexpr bool kHasMin = true;

  static void scales(const std::uint8_t* group, GroupScales& out) {
    LegacyGroup<Block>::scales(group, out);
    for (std::size_t b = 0; b < 8; ++b)
      out.min[b] = -load_f16(group + b * sizeof(Block) + offsetof(Block, m));
  }
};

// q = from(nibble) for eight blocks whose nibbles start `first` bytes into them.
template <class From>
inline void unpack_nibbles(const std::uint8_t* group, std::size_t block_bytes, std::size_t first, std::int8_t* q,
                           From from) {
  for (std::size_t b = 0; b < 8; ++b) {
    const std::uint8_t* nibbles = group + b * block_bytes + first;
    for (std::size_t i = 0; i < 16; ++i) {
      q[32 * b + i] = static_cast<std::int8_t>(from(nibbles[i] & 15));
      q[32 * b + i + 16] = static_cast<std::int8_t>(from(nibbles[i] >> 4));
    }
  }
}

// The same with a fifth bit: bit j of the 32-bit word `high` bytes into the block is that of element j.
inline void unpack_five_bits(const std::uint8_t* group, std::size_t block_bytes, std::size_t first, std::size_t high,
                             int zero, std::int8_t* q) {
  for (std::size_t b = 0; b < 8; ++b) {
    const std::uint8_t* nibbles = group + b * block_bytes + first;
    const auto bits = load_bytes<std::uint32_t>(group + b * block_bytes + high);
    for (std::size_t i = 0; i < 16; ++i) {
      const int low = (nibbles[i] & 15) | static_cast<int>((bits >> i & 1U) << 4);
      const int upper = (nibbles[i] >> 4) | static_cast<int>((bits >> (i + 16) & 1U) << 4);
      q[32 * b + i] = static_cast<std::int8_t>(low - zero);
      q[32 * b + i + 16] = static_cast<std::int8_t>(upper - zero);
    }
  }
}

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
    unpack_nibbles(group, kBlockBytes, offsetof(BlockQ4_0, qs), q, [](int nibble) { return nibble - 8; });
  }
};

template <>
struct PortableGroup<QuantType::kQ4_1> : LegacyOffsetGroup<BlockQ4_1> {
  static void unpack(const std::uint8_t* group, std::int8_t* q) {
    unpack_nibbles(group, kBlockBytes, offsetof(BlockQ4_1, qs), q, [](int nibble) { return nibble; });
  }
};

template <>
struct PortableGroup<QuantType::kQ5_0> : LegacyGroup<BlockQ5_0> {
  static void unpack(const std::uint8_t* group, std::int8_t* q) {
    unpack_five_bits(group, kBlockBytes, offsetof(BlockQ5_0, qs), offsetof(BlockQ5_0, qh), 16, q);
  }
};

template <>
struct PortableGroup<QuantType::kQ5_1> : LegacyOffsetGroup<BlockQ5_1> {
  static void unpack(const std::uint8_t* group, std::int8_t* q) {
    unpack_five_bits(group, kBlockBytes, offsetof(BlockQ5_1, qs), offsetof(BlockQ5_1, qh), 0, q);
  }
};

template <>
struct PortableGroup<QuantType::kIQ4_NL> : LegacyGroup<BlockIQ4_NL> {
  static void unpack(const std::uint8_t* group, std::int8_t* q) {
    unpack_nibbles(group, kBlockBytes, offsetof(BlockIQ4_NL, qs), q,
                   [](int nibble) { return kIq4Values[static_cast<std::size_t>(nibble)]; });
  }
};

template <>
struct PortableGroup<QuantType::kMXFP4> : LegacyGroup<BlockMXFP4> {
  static void scales(const std::uint8_t* group, GroupScales& out) {
    for (std::size_t b = 0; b < 8; ++b)
      out.scale[b] = mxfp4_half_scale(group[b * kBlockBytes + offsetof(BlockMXFP4, e)]);
  }

  static void unpack(const std::uint8_t* group, std::int8_t* q) {
    unpack_nibbles(group, kBlockBytes, offsetof(BlockMXFP4, qs), q,
                   [](int nibble) { return kFp4DoubledValues[static_cast<std::size_t>(nibble)]; });
  }
};

}  // namespace mlxr
