// Rotary position embedding of one token. Included inside a target region (target_region.h) after the vocabulary.
//
// Each head is read and written once, from and to the L1 cache. Both styles compute a * cos - b * sin and
// b * cos + a * sin with the second product rounded before it is added.

#ifndef MLXR_CORE_KERNELS_CPU_ROPE_KERNEL_INL_H_
#define MLXR_CORE_KERNELS_CPU_ROPE_KERNEL_INL_H_

namespace mlxr {

template <class V>
struct RotatedPair {
  typename V::F32 first;
  typename V::F32 second;
};

template <class V>
MLXR_ALWAYS_INLINE RotatedPair<V> rotate(typename V::F32 a, typename V::F32 b, typename V::F32 cosine,
                                         typename V::F32 sine) {
  return {V::sub(V::mul(a, cosine), V::mul(b, sine)), V::add(V::mul(b, cosine), V::mul(a, sine))};
}

template <class V>
MLXR_ALWAYS_INLINE void rotate_halves(const float* x, const float* table, std::int64_t half, float* out) {
  std::int64_t i = 0;
  for (; i + V::kLanes <= half; i += V::kLanes) {
    const auto pair = rotate<V>(V::load(x + i), V::load(x + half + i), V::load(table + i), V::load(table + half + i));
    V::store(out + i, pair.first);
    V::store(out + half + i, pair.second);
  }
  const int rest = static_cast<int>(half - i);
  if (rest > 0) {
    const auto pair = rotate<V>(V::load_first(x + i, rest), V::load_first(x + half + i, rest),
                                V::load_first(table + i, rest), V::load_first(table + half + i, rest));
    V::store_first(out + i, pair.first, rest);
    V::store_first(out + half + i, pair.second, rest);
  }
}

// pair_table: the cosine of each element, then its sine, negative for the first of a pair.
template <class V>
MLXR_ALWAYS_INLINE void rotate_pairs(const float* x, const float* pair_table, std::int64_t dim, float* out) {
  using F = typename V::F32;
  std::int64_t i = 0;
  for (; i + V::kLanes <= dim; i += V::kLanes) {
    const F v = V::load(x + i);
    const F turned = V::mul(V::swap_pairs(v), V::load(pair_table + dim + i));
    V::store(out + i, V::add(V::mul(v, V::load(pair_table + i)), turned));
  }
  const int rest = static_cast<int>(dim - i);
  if (rest > 0) {
    const F v = V::load_first(x + i, rest);
    const F turned = V::mul(V::swap_pairs(v), V::load_first(pair_table + dim + i, rest));
    V::store_first(out + i, V::add(V::mul(v, V::load_first(pair_table + i, rest)), turned), rest);
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
