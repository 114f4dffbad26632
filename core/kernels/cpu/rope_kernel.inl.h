// Rotary position embedding of one token. Included inside a target region (target_region.h) after the vocabulary.
//
// Each head is read and written once, from and to the L1 cache. Both styles compute a * cos - b * sin and
// b * cos + a * sin with the second product rounded before it is added.

#ifndef MLXR_CORE_KERNELS_CPU_ROPE_KERNEL_INL_H_
#define MLXR_CORE_KERNELS_CPU_ROPE_KERNEL_INL_H_

namespace mlxr {

template <class V>
MLXR_ALWAYS_INLINE void rotate_halves(const float* x, const float* table, std::int64_t half, float* out) {
  using F = typename V::F32;
  for (std::int64_t i = 0; i < half; i += V::kLanes) {
    const int count = half - i < V::kLanes ? static_cast<int>(half - i) : V::kLanes;
    const F a = V::load_first(x + i, count);
    const F b = V::load_first(x + half + i, count);
    const F cosine = V::load_first(table + i, count);
    const F sine = V::load_first(table + half + i, count);
    V::store_first(out + i, V::sub(V::mul(a, cosine), V::mul(b, sine)), count);
    V::store_first(out + half + i, V::add(V::mul(b, cosine), V::mul(a, sine)), count);
  }
}

// pair_table: the cosine of each element, then its sine, negative for the first of a pair.
template <class V>
MLXR_ALWAYS_INLINE void rotate_pairs(const float* x, const float* pair_table, std::int64_t dim, float* out) {
  using F = typename V::F32;
  for (std::int64_t i = 0; i < dim; i += V::kLanes) {
    const int count = dim - i < V::kLanes ? static_cast<int>(dim - i) : V::kLanes;
    const F v = V::load_first(x + i, count);
    const F cosine = V::load_first(pair_table + i, count);
    const F sine = V::load_first(pair_table + dim + i, count);
    V::store_first(out + i, V::add(V::mul(v, cosine), V::mul(V::swap_pairs(v), sine)), count);
  }
}

template <class V>
void rope_token(const float* x, const float* table, RopeStyle style, std::int64_t heads, std::int64_t head_dim,
                std::int64_t dim, float* pair_table, float* out) {
  const std::int64_t half = dim / 2;
  if (style == RopeStyle::kInterleaved) {
    for (std::int64_t i = 0; i < half; ++i) {
      pair_table[2 * i] = table[i];
      pair_table[2 * i + 1] = table[i];
      pair_table[dim + 2 * i] = -table[half + i];
      pair_table[dim + 2 * i + 1] = table[half + i];
    }
  }
  for (std::int64_t h = 0; h < heads; ++h) {
    const float* from = x + h * head_dim;
    float* to = out + h * head_dim;
    if (style == RopeStyle::kInterleaved) {
      rotate_pairs<V>(from, pair_table, dim, to);
    } else {
      rotate_halves<V>(from, table, half, to);
    }
    for (std::int64_t i = dim; i < head_dim; ++i)
      to[i] = from[i];
  }
}

}  // namespace mlxr

#endif  // MLXR_CORE_KERNELS_CPU_ROPE_KERNEL_INL_H_
