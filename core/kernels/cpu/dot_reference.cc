// Portable kernels: plain loops over the definitions of weight_groups.h. What every instruction set is tested against.

#include <cmath>
#include <cstring>
#include <type_traits>

#include "core/kernels/cpu/matmul_kernels.h"
#include "core/kernels/cpu/simd_scalar.h"
#include "core/kernels/cpu/unroll.h"
#include "core/kernels/cpu/weight_groups.h"

namespace mlxr {
namespace {

struct F8 {
  float v[8];
};
struct I8 {
  std::int32_t v[8];
};

F8 f8_zero() {
  return {};
}

F8 f8_load(const float* p) {
  F8 r;
  std::memcpy(r.v, p, sizeof(r.v));
  return r;
}

F8 f8_from(const I8& a) {
  F8 r;
  for (int i = 0; i < 8; ++i)
    r.v[i] = static_cast<float>(a.v[i]);
  return r;
}

F8 f8_mul(const F8& a, const F8& b) {
  F8 r;
  for (int i = 0; i < 8; ++i)
    r.v[i] = a.v[i] * b.v[i];
  return r;
}

F8 f8_fma(const F8& a, const F8& b, const F8& c) {
  F8 r;
  for (int i = 0; i < 8; ++i)
    r.v[i] = std::fma(a.v[i], b.v[i], c.v[i]);
  return r;
}

F8 f8_fnma(const F8& a, const F8& b, const F8& c) {
  F8 r;
  for (int i = 0; i < 8; ++i)
    r.v[i] = std::fma(-a.v[i], b.v[i], c.v[i]);
  return r;
}

float f8_fold(const F8& a) {
  const float s0 = a.v[0] + a.v[4];
  const float s1 = a.v[1] + a.v[5];
  const float s2 = a.v[2] + a.v[6];
  const float s3 = a.v[3] + a.v[7];
  return (s0 + s2) + (s1 + s3);
}

void prefetch(const std::uint8_t*) {}

struct Quants {
  std::int8_t v[256];
};

struct Scales {
  F8 scale;
  F8 min;
  std::int8_t half[16];
  std::int8_t half_min[16];
};

constexpr int kFewTokens = 4;

template <QuantType kType>
struct Group : PortableGroup<kType> {
  using Portable = PortableGroup<kType>;

  static Quants unpack(const std::uint8_t* bytes) {
    Quants q;
    Portable::unpack(bytes, q.v);
    return q;
  }

  static Scales scales(const std::uint8_t* bytes) {
    GroupScales s = {};
    Portable::scales(bytes, s);
    Scales r = {f8_load(s.scale), f8_load(s.min), {}, {}};
    std::memcpy(r.half, s.half, sizeof(r.half));
    std::memcpy(r.half_min, s.half_min, sizeof(r.half_min));
    return r;
  }

  static I8 sums(const Quants& w, const Scales& scales, const ActivationGroup& x) {
    I8 r;
    for (int b = 0; b < 8; ++b) {
      std::int32_t halves[2] = {0, 0};
      for (int i = 0; i < 32; ++i)
        halves[i / 16] += std::int32_t{w.v[32 * b + i]} * x.q[32 * b + i];
      r.v[b] = Portable::kHalfScales ? halves[0] * scales.half[2 * b] + halves[1] * scales.half[2 * b + 1]
                                     : halves[0] + halves[1];
    }
    return r;
  }

  static I8 min_sums(const Scales& scales, const ActivationGroup& x) {
    I8 r;
    for (int b = 0; b < 8; ++b)
      r.v[b] = scales.half_min[2 * b] * x.half_sum[b][0] + scales.half_min[2 * b + 1] * x.half_sum[b][1];
    return r;
  }
};

#include "core/kernels/cpu/dot_few.inl.h"
#include "core/kernels/cpu/dot_float.inl.h"

constexpr QuantDotKernel kQuantized[] = {
#define MLXR_ROW(name) {QuantType::k##name, dot_few<QuantType::k##name>, dot_few<QuantType::k##name>},
    MLXR_INTEGER_TYPES(MLXR_ROW)
#undef MLXR_ROW
};

}  // namespace

const MatmulKernels kReferenceMatmulKernels = {
    .name = "reference",
    .quantize_row = quantize_row_reference,
    .make_panel = nullptr,
    .quantized = kQuantized,
    .floats = {},
    .decoded = dot_decoded<SimdScalar, DecodeByTable>,
    .few_tokens = 1,
    .few_float_tokens = 0,
};

}  // namespace mlxr
