#pragma once
// The float vocabulary that generic kernels are written in, here in portable C++ for the "reference" level. The same
// words exist for AVX2, AVX-512 and NEON (simd_avx2.h, ...) as static functions of one struct, which is the template
// argument of a kernel:
//   template <class V> void kernel(...) { typename V::F32 x = V::load(p); ... }
//
//   F32, kLanes, kRegisters      a vector, its number of floats, the vectors that the register file holds
//   zero, set(x)                 all lanes 0, all lanes x
//   load, store                  kLanes floats at any address
//   load_first, store_first      lanes 0..n-1 (0 <= n <= kLanes) only, other lanes load as 0; touches no other memory
//   load_f16/bf16, store_f16/bf16  kLanes 16-bit floats at any address; rounds to nearest even (bits:
//   core/base/float16.h)
//   set_f16(p)                   all lanes the binary16 number at any address
//   load_s8(p)                   kLanes signed bytes at any address
//   load_s4(p, high)             the low or the high halves of kLanes bytes, two's complement
//   load_e4m3(p)                 kLanes OCP E4M3 floats at any address, times 2^-8; a NaN code gives a number
//   add sub mul div min max abs  per lane; min and max give the second operand when one is a NaN
//   fma(a, b, c)                 a * b + c, rounded once where the machine can; twice here
//   select_less(a, b, x, y)      a < b ? x : y
//   keep_lanes(v, begin, end, y) lane in [begin, end) ? v : y; begin and end may lie outside [0, kLanes]
//   swap_pairs                   lane 2i exchanged with lane 2i + 1
//   power_of_low_bits(t)         2^n, where n is the signed number in the low bits of t's representation: for
//                                t = 1.5 * 2^23 + n, the usual trick of rounding by adding
//   reduce_add, reduce_max       over lanes, in an order that only depends on the type

#include <bit>
#include <cstdint>
#include <cstring>

#include "core/base/cpu_features.h"
#include "core/base/float16.h"
#include "core/kernels/cpu/target_region.h"

namespace mlxr {

struct SimdScalar {
  static constexpr Isa kIsa = Isa::kReference;
  static constexpr int kLanes = 4;
  static constexpr int kRegisters = 16;
  struct F32 {
    float lane[kLanes];
  };

  static F32 zero() { return set(0.0F); }
  static F32 set(float value) { return {{value, value, value, value}}; }
  static F32 load(const float* p) { return {{p[0], p[1], p[2], p[3]}}; }
  static void store(float* p, F32 v) { store_first(p, v, kLanes); }
  static F32 load_first(const float* p, int n) {
    F32 v = zero();
    for (int i = 0; i < n; ++i)
      v.lane[i] = p[i];
    return v;
  }
  static void store_first(float* p, F32 v, int n) {
    for (int i = 0; i < n; ++i)
      p[i] = v.lane[i];
  }

  static F32 load_f16(const std::uint16_t* p) {
    return {{f16_to_f32(p[0]), f16_to_f32(p[1]), f16_to_f32(p[2]), f16_to_f32(p[3])}};
  }
  static F32 load_bf16(const std::uint16_t* p) {
    return {{bf16_to_f32(p[0]), bf16_to_f32(p[1]), bf16_to_f32(p[2]), bf16_to_f32(p[3])}};
  }
  static void store_f16(std::uint16_t* p, F32 v) {
    for (int i = 0; i < kLanes; ++i)
      p[i] = f32_to_f16(v.lane[i]);
  }
  static void store_bf16(std::uint16_t* p, F32 v) {
    for (int i = 0; i < kLanes; ++i)
      p[i] = f32_to_bf16(v.lane[i]);
  }

  static F32 set_f16(const std::uint8_t* p) {
    std::uint16_t bits;
    std::memcpy(&bits, p, sizeof(bits));
    return set(f16_to_f32(bits));
  }
  static F32 load_s8(const std::uint8_t* p) {
    F32 v;
    for (int i = 0; i < kLanes; ++i)
      v.lane[i] = static_cast<float>(static_cast<std::int8_t>(p[i]));
    return v;
  }
  static F32 load_s4(const std::uint8_t* p, bool high) {
    F32 v;
    for (int i = 0; i < kLanes; ++i)
      v.lane[i] = static_cast<float>(static_cast<std::int8_t>(high ? p[i] : p[i] << 4) >> 4);
    return v;
  }
  static F32 load_e4m3(const std::uint8_t* p) {
    F32 v;
    for (int i = 0; i < kLanes; ++i)
      v.lane[i] = f16_to_f32(static_cast<std::uint16_t>(((p[i] & 0x80) << 8) | ((p[i] & 0x7f) << 7)));
    return v;
  }

  static F32 add(F32 a, F32 b) {
    for (int i = 0; i < kLanes; ++i)
      a.lane[i] += b.lane[i];
    return a;
  }
  static F32 sub(F32 a, F32 b) {
    for (int i = 0; i < kLanes; ++i)
      a.lane[i] -= b.lane[i];
    return a;
  }
  static F32 mul(F32 a, F32 b) {
    for (int i = 0; i < kLanes; ++i)
      a.lane[i] *= b.lane[i];
    return a;
  }
  static F32 div(F32 a, F32 b) {
    for (int i = 0; i < kLanes; ++i)
      a.lane[i] /= b.lane[i];
    return a;
  }
  static F32 min(F32 a, F32 b) { return select_less(a, b, a, b); }
  static F32 max(F32 a, F32 b) { return select_less(b, a, a, b); }
  static F32 fma(F32 a, F32 b, F32 c) {
    for (int i = 0; i < kLanes; ++i)
      c.lane[i] += a.lane[i] * b.lane[i];
    return c;
  }
  static F32 abs(F32 a) {
    for (int i = 0; i < kLanes; ++i)
      a.lane[i] = __builtin_fabsf(a.lane[i]);
    return a;
  }
  static F32 select_less(F32 a, F32 b, F32 then, F32 otherwise) {
    for (int i = 0; i < kLanes; ++i)
      otherwise.lane[i] = a.lane[i] < b.lane[i] ? then.lane[i] : otherwise.lane[i];
    return otherwise;
  }
  static F32 keep_lanes(F32 v, int begin, int end, F32 otherwise) {
    for (int i = 0; i < kLanes; ++i)
      otherwise.lane[i] = i >= begin && i < end ? v.lane[i] : otherwise.lane[i];
    return otherwise;
  }
  static F32 swap_pairs(F32 v) { return {{v.lane[1], v.lane[0], v.lane[3], v.lane[2]}}; }
  static F32 power_of_low_bits(F32 t) {
    for (int i = 0; i < kLanes; ++i) {
      const auto bits = std::bit_cast<std::uint32_t>(t.lane[i]);
      t.lane[i] = std::bit_cast<float>((bits << 23) + 0x3f800000U);
    }
    return t;
  }

  static float reduce_add(F32 v) { return (v.lane[0] + v.lane[2]) + (v.lane[1] + v.lane[3]); }
  static float reduce_max(F32 v) {
    float top = v.lane[0];
    for (int i = 1; i < kLanes; ++i)
      top = v.lane[i] > top ? v.lane[i] : top;
    return top;
  }
};

}  // namespace mlxr
