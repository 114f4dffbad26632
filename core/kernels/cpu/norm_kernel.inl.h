// Normalisation of one row. Included inside a target region (target_region.h) after the vocabulary.
//
// Two passes over a row that stays in the L1 cache; rows are shared out between threads. Bound by the cache: a step
// of a decoder spends well under 1 % here. Four running sums hide the latency of the additions; which sum an element
// goes to depends on its index alone.

#ifndef MLXR_CORE_KERNELS_CPU_NORM_KERNEL_INL_H_
#define MLXR_CORE_KERNELS_CPU_NORM_KERNEL_INL_H_

namespace mlxr {

// The sum of (x[i] - mean)^2; with `addend`, of (x[i] + addend[i])^2, and the sums are stored. Lanes past the end add
// nothing.
template <class V>
MLXR_ALWAYS_INLINE float sum_of_squares(const float* x, const float* addend, float* sums, float mean, std::int64_t n) {
  using F = typename V::F32;
  F lanes[4] = {V::zero(), V::zero(), V::zero(), V::zero()};
  const F center = V::set(mean);
  std::int64_t i = 0;
  for (; i + 4 * V::kLanes <= n; i += 4 * V::kLanes) {
    for (int k = 0; k < 4; ++k) {
      F v = V::load(x + i + k * V::kLanes);
      if (addend != nullptr) {
        v = V::add(v, V::load(addend + i + k * V::kLanes));
        V::store(sums + i + k * V::kLanes, v);
      }
      v = V::sub(v, center);
      lanes[k] = V::fma(v, v, lanes[k]);
    }
  }
  for (int k = 0; i < n; i += V::kLanes, ++k) {
    const int count = n - i < V::kLanes ? static_cast<int>(n - i) : V::kLanes;
    F v = V::load_first(x + i, count);
    if (addend != nullptr) {
      v = V::add(v, V::load_first(addend + i, count));
      V::store_first(sums + i, v, count);
    }
    v = V::keep_lanes(V::sub(v, center), 0, count, V::zero());
    lanes[k] = V::fma(v, v, lanes[k]);
  }
  return V::reduce_add(V::add(V::add(lanes[0], lanes[1]), V::add(lanes[2], lanes[3])));
}

template <class V>
void rms_norm_row(const float* x, const float* addend, float* sum, const float* weight, float eps, std::int64_t n,
                  float* out) {
  using F = typename V::F32;
  const float squares = sum_of_squares<V>(x, addend, sum, 0.0F, n);
  const F inverse = V::set(1.0F / __builtin_sqrtf(squares / static_cast<float>(n) + eps));
  const float* from = addend == nullptr ? x : sum;
  std::int64_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes)
    V::store(out + i, V::mul(V::mul(V::load(from + i), inverse), V::load(weight + i)));
  const int rest = static_cast<int>(n - i);
  if (rest > 0) {
    const F v = V::mul(V::mul(V::load_first(from + i, rest), inverse), V::load_first(weight + i, rest));
    V::store_first(out + i, v, rest);
  }
}

template <class V>
MLXR_ALWAYS_INLINE float sum_of_row(const float* x, std::int64_t n) {
  using F = typename V::F32;
  F lanes[4] = {V::zero(), V::zero(), V::zero(), V::zero()};
  std::int64_t i = 0;
  for (; i + 4 * V::kLanes <= n; i += 4 * V::kLanes) {
    for (int k = 0; k < 4; ++k)
      lanes[k] = V::add(lanes[k], V::load(x + i + k * V::kLanes));
  }
  for (int k = 0; i < n; i += V::kLanes, ++k) {
    const int count = n - i < V::kLanes ? static_cast<int>(n - i) : V::kLanes;
    lanes[k] = V::add(lanes[k], V::load_first(x + i, count));
  }
  return V::reduce_add(V::add(V::add(lanes[0], lanes[1]), V::add(lanes[2], lanes[3])));
}

template <class V>
void layer_norm_row(const float* x, const float* weight, const float* bias, float eps, std::int64_t n, float* out) {
  using F = typename V::F32;
  const float mean = sum_of_row<V>(x, n) / static_cast<float>(n);
  const float variance = sum_of_squares<V>(x, nullptr, nullptr, mean, n) / static_cast<float>(n);
  const F inverse = V::set(1.0F / __builtin_sqrtf(variance + eps));
  const F center = V::set(mean);
  std::int64_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) {
    const F v = V::mul(V::mul(V::sub(V::load(x + i), center), inverse), V::load(weight + i));
    V::store(out + i, bias == nullptr ? v : V::add(v, V::load(bias + i)));
  }
  const int rest = static_cast<int>(n - i);
  if (rest > 0) {
    F v = V::mul(V::sub(V::load_first(x + i, rest), center), inverse);
    v = V::mul(v, V::load_first(weight + i, rest));
    if (bias != nullptr) v = V::add(v, V::load_first(bias + i, rest));
    V::store_first(out + i, v, rest);
  }
}

}  // namespace mlxr

#endif  // MLXR_CORE_KERNELS_CPU_NORM_KERNEL_INL_H_
