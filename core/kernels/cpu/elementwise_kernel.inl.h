// Elementwise kernels. Included inside a target region (target_region.h) after the vocabulary and simd_math.h.
//
// Arrays are shared out between threads in pieces; bound by the caches, since a step's activations fit them.

#ifndef MLXR_CORE_KERNELS_CPU_ELEMENTWISE_KERNEL_INL_H_
#define MLXR_CORE_KERNELS_CPU_ELEMENTWISE_KERNEL_INL_H_

namespace mlxr {

// Operations are types with a static apply(a, b, p): the element of one array, of another, and a parameter.
template <class V, class Op>
MLXR_ALWAYS_INLINE void map_arrays(const float* a, const float* b, float parameter, std::int64_t n, float* out) {
  using F = typename V::F32;
  const F p = V::set(parameter);
  std::int64_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) {
    const F other = b == nullptr ? V::zero() : V::load(b + i);
    V::store(out + i, Op::apply(V::load(a + i), other, p));
  }
  const int rest = static_cast<int>(n - i);
  if (rest > 0) {
    const F other = b == nullptr ? V::zero() : V::load_first(b + i, rest);
    V::store_first(out + i, Op::apply(V::load_first(a + i, rest), other, p), rest);
  }
}

template <class V>
struct AddOp {
  using F = typename V::F32;
  static MLXR_ALWAYS_INLINE F apply(F a, F b, F /*p*/) { return V::add(a, b); }
};

template <class V>
struct ScaleOp {
  using F = typename V::F32;
  static MLXR_ALWAYS_INLINE F apply(F a, F /*b*/, F p) { return V::mul(a, p); }
};

template <class V>
struct SoftcapOp {
  using F = typename V::F32;
  static MLXR_ALWAYS_INLINE F apply(F a, F /*b*/, F p) { return V::mul(p, simd_tanh<V>(V::div(a, p))); }
};

template <class V>
struct ExpOp {
  using F = typename V::F32;
  static MLXR_ALWAYS_INLINE F apply(F a, F /*b*/, F /*p*/) { return simd_exp<V>(a); }
};

template <class V>
struct SiluOp {
  using F = typename V::F32;
  static MLXR_ALWAYS_INLINE F apply(F a) { return V::mul(a, simd_sigmoid<V>(a)); }
};

// 0.5 x (1 + tanh(u)) = x * sigmoid(2 u), u = sqrt(2 / pi) * (x + 0.044715 x^3): no cancellation for negative x.
template <class V>
struct GeluTanhOp {
  using F = typename V::F32;
  static MLXR_ALWAYS_INLINE F apply(F a) {
    const F cube = V::mul(V::mul(a, a), V::mul(a, V::set(0.044715F)));
    return V::mul(a, simd_sigmoid<V>(V::mul(V::set(1.59576912F), V::add(a, cube))));
  }
};

template <class V>
struct ReluOp {
  using F = typename V::F32;
  static MLXR_ALWAYS_INLINE F apply(F a) { return V::max(V::zero(), a); }
};

template <class V, class Act>
struct AloneOp {
  using F = typename V::F32;
  static MLXR_ALWAYS_INLINE F apply(F a, F /*b*/, F /*p*/) { return Act::apply(a); }
};

template <class V, class Act>
struct GatedOp {
  using F = typename V::F32;
  static MLXR_ALWAYS_INLINE F apply(F a, F b, F /*p*/) { return V::mul(Act::apply(a), b); }
};

template <class V, template <class> class Act>
void activate_array(const float* x, std::int64_t n, float* out) {
  map_arrays<V, AloneOp<V, Act<V>>>(x, nullptr, 0.0F, n, out);
}

template <class V, template <class> class Act>
void gate_arrays(const float* gate, const float* up, std::int64_t n, float* out) {
  map_arrays<V, GatedOp<V, Act<V>>>(gate, up, 0.0F, n, out);
}

template <class V>
void add_arrays(const float* a, const float* b, std::int64_t n, float* out) {
  map_arrays<V, AddOp<V>>(a, b, 0.0F, n, out);
}

template <class V>
void scale_array(const float* x, float factor, std::int64_t n, float* out) {
  map_arrays<V, ScaleOp<V>>(x, nullptr, factor, n, out);
}

template <class V>
void softcap_array(const float* x, float cap, std::int64_t n, float* out) {
  map_arrays<V, SoftcapOp<V>>(x, nullptr, cap, n, out);
}

template <class V>
void exp_array(const float* x, std::int64_t n, float* out) {
  map_arrays<V, ExpOp<V>>(x, nullptr, 0.0F, n, out);
}

template <class V>
MLXR_ALWAYS_INLINE void store_16(std::uint16_t* to, typename V::F32 v, KvType type) {
  if (type == KvType::kF16) {
    V::store_f16(to, v);
  } else {
    V::store_bf16(to, v);
  }
}

template <class V>
void convert_array(const float* x, KvType type, std::int64_t n, void* out) {
  if (type == KvType::kF32) {
    auto* to = static_cast<float*>(out);
    for (std::int64_t i = 0; i < n; ++i)
      to[i] = x[i];
    return;
  }
  auto* to = static_cast<std::uint16_t*>(out);
  std::int64_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes)
    store_16<V>(to + i, V::load(x + i), type);
  const int rest = static_cast<int>(n - i);
  if (rest > 0) {
    std::uint16_t last[V::kLanes];
    store_16<V>(last, V::load_first(x + i, rest), type);
    for (int k = 0; k < rest; ++k)
      to[i + k] = last[k];
  }
}

}  // namespace mlxr

#endif  // MLXR_CORE_KERNELS_CPU_ELEMENTWISE_KERNEL_INL_H_
