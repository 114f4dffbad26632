#pragma once
// Weight formats as the kernels see them: groups of 256 elements (one K block, or several smaller blocks in a row),
// each of eight blocks of 32 with
//
//   x = scale * q - min                           plain formats (min where kHasMin)
//   x = scale * half[e / 16] * q                  formats with a whole-number scale for every 16 elements (kHalfScales)
//   x = scale * half[e / 16] * q - min * half_min[e / 16]                      and a whole-number minimum (kHalfMins)
//
// where q is a whole number of 8 bits. The product with an activation group is then, for each block, one or two exact
// integer sums (of q or half * q, and of half_min) and as many f32 multiply-adds. PortableGroup<type> is the truth of
// that view in plain C++; instruction sets unpack the same bytes in their own way to the same numbers. Its members:
//
//   kBytes, kBlockBytes, kBlockElements   of a group, and of the format's own block
//   kHalfZeroLog2                         in kHalfScales formats: q + 2^kHalfZeroLog2 is in [0, 127]; -1: q itself is
//   scales(bytes, out), unpack(bytes, q)  `bytes` is a whole group, unaligned; q has 256 places

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/base/float16.h"
#include "core/quant/quant.h"

namespace mlxr {

struct GroupScales {
  float scale[8];
  float min[8];
  std::int8_t half[16];
  std::int8_t half_min[16];
};

// Bytes at `p`, which needs no alignment.
template <class T>
inline T load_bytes(const std::uint8_t* p) {
  T value;
  std::memcpy(&value, p, sizeof(T));
  return value;
}

inline float load_f16(const std::uint8_t* p) {
  return f16_to_f32(load_bytes<std::uint16_t>(p));
}

inline void fill_scales(float (&out)[8], float value) {
  for (float& scale : out)
    scale = value;
}

struct PlainGroup {
  static constexpr bool kHasMin = false;
  static constexpr bool kHalfScales = false;
  static constexpr bool kHalfMins = false;
  static constexpr int kHalfZeroLog2 = -1;
};

template <QuantType kType>
struct PortableGroup;

}  // namespace mlxr
