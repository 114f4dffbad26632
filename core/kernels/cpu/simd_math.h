// Functions on vectors, in the vocabulary of simd_scalar.h. Included inside a target region (target_region.h), and
// therefore without an include of its own: the file that opens the region includes the vocabulary first.
//
// The polynomials were fitted for this file: least maximum relative error on the interval, by Lawson's iteration.

#ifndef MLXR_CORE_KERNELS_CPU_SIMD_MATH_H_
#define MLXR_CORE_KERNELS_CPU_SIMD_MATH_H_

namespace mlxr {

// e^x within 2 ulp for x in [-87.3, 88.0]; 0 below, infinity above, NaN for NaN.
// x = n ln 2 + r with |r| <= ln(2) / 2, then 2^n * (1 + r + r^2 p(r)); the polynomial is within 3.1e-9 of e^r.
template <class V>
MLXR_ALWAYS_INLINE typename V::F32 simd_exp(typename V::F32 x) {
  using F = typename V::F32;
  const F lowest = V::set(-87.3F);
  const F bounded = V::min(V::set(89.0F), V::max(lowest, x));
  const F rounder = V::set(12582912.0F);  // 1.5 * 2^23: adding it rounds to an integer, left in the low bits
  const F rounded = V::fma(bounded, V::set(1.44269504F), rounder);
  const F n = V::sub(rounded, rounder);
  // ln 2 in two parts, the first with few enough bits that n times it is exact.
  F r = V::fma(n, V::set(-0.693359375F), bounded);
  r = V::fma(n, V::set(2.12194440e-4F), r);
  F p = V::set(0x1.6a2434p-10F);
  p = V::fma(p, r, V::set(0x1.1239e2p-7F));
  p = V::fma(p, r, V::set(0x1.5558f2p-5F));
  p = V::fma(p, r, V::set(0x1.555492p-3F));
  p = V::fma(p, r, V::set(0x1.fffffcp-2F));
  p = V::fma(V::mul(r, r), p, r);
  const F power = V::power_of_low_bits(rounded);
  return V::select_less(x, lowest, V::zero(), V::mul(V::add(V::set(1.0F), p), power));
}

// 2^x for x <= 1 within 2 ulp; 0 below -126. x = n + f with |f| <= 1/2, then 2^n * (1 + f p(f)); the polynomial is
// within 1.6e-8 of 2^f.
template <class V>
MLXR_ALWAYS_INLINE typename V::F32 simd_exp2(typename V::F32 x) {
  using F = typename V::F32;
  const F lowest = V::set(-126.0F);
  const F bounded = V::max(lowest, x);
  const F rounder = V::set(12582912.0F);
  const F rounded = V::add(bounded, rounder);
  const F f = V::sub(bounded, V::sub(rounded, rounder));
  F p = V::set(0x1.41fbap-13F);
  p = V::fma(p, f, V::set(0x1.5f3e8p-10F));
  p = V::fma(p, f, V::set(0x1.3b2d4ep-7F));
  p = V::fma(p, f, V::set(0x1.c6aee8p-5F));
  p = V::fma(p, f, V::set(0x1.ebfbdcp-3F));
  p = V::fma(p, f, V::set(0x1.62e43p-1F));
  p = V::fma(p, f, V::set(1.0F));
  return V::select_less(x, lowest, V::zero(), V::mul(p, V::power_of_low_bits(rounded)));
}

// 1 / (1 + e^-x)
template <class V>
MLXR_ALWAYS_INLINE typename V::F32 simd_sigmoid(typename V::F32 x) {
  const typename V::F32 one = V::set(1.0F);
  return V::div(one, V::add(one, simd_exp<V>(V::sub(V::zero(), x))));
}

// tanh x within 4 ulp: x + x^3 p(x^2) below 0.625, where the polynomial is within 4.4e-9; 1 - 2 / (e^2x + 1) above.
template <class V>
MLXR_ALWAYS_INLINE typename V::F32 simd_tanh(typename V::F32 x) {
  using F = typename V::F32;
  const F one = V::set(1.0F);
  const F size = V::abs(x);
  const F square = V::mul(x, x);
  F p = V::set(-0.0057049869F);
  p = V::fma(p, square, V::set(0.020639088F));
  p = V::fma(p, square, V::set(-0.0537397154F));
  p = V::fma(p, square, V::set(0.133314416F));
  p = V::fma(p, square, V::set(-0.333332807F));
  const F small = V::fma(V::mul(square, x), p, x);
  const F far = V::sub(one, V::div(V::set(2.0F), V::add(one, simd_exp<V>(V::add(size, size)))));
  const F large = V::select_less(x, V::zero(), V::sub(V::zero(), far), far);
  return V::select_less(size, V::set(0.625F), small, large);
}

}  // namespace mlxr

#endif  // MLXR_CORE_KERNELS_CPU_SIMD_MATH_H_
