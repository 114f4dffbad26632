// How attention reads keys and values of each type, in registers. Included inside a target region (target_region.h)
// before attention_kernel.inl.h. Layouts: core/backend/host_kv_storage.h and kv_codec.h.

#ifndef MLXR_CORE_KERNELS_CPU_ATTENTION_KV_INL_H_
#define MLXR_CORE_KERNELS_CPU_ATTENTION_KV_INL_H_

namespace mlxr {

// How keys and values of a type without scales are read.
template <class V, KvType kType>
struct PlainKv {
  static constexpr bool kScaled = false;
  using Element = std::conditional_t<kType == KvType::kF32, float, std::uint16_t>;

  static MLXR_ALWAYS_INLINE typename V::F32 load(const Element* p) {
    if constexpr (kType == KvType::kF32) {
      return V::load(p);
    } else if constexpr (kType == KvType::kF16) {
      return V::load_f16(p);
    } else {
      return V::load_bf16(p);
    }
  }
};

// The same for types with scales (layouts: core/backend/kv_codec.h). scale * code is exact in f32. An E4M3 code comes
// times 2^-8 (V::load_e4m3), so that its scale is taken times 2^8.
template <class V, KvType kType>
struct ScaledKv {
  using F = typename V::F32;
  static constexpr bool kScaled = true;
  static constexpr bool kNibbles = kType == KvType::kQ4_0;
  static constexpr std::int64_t kScaleBytes = 2;
  static constexpr std::int64_t kSpan = kType == KvType::kFP8_E4M3 ? 0 : 32;  // 0: the whole head
  static constexpr int kHalves = kNibbles ? 2 : 1;                            // codes in a byte

  static MLXR_ALWAYS_INLINE std::int64_t span(std::int64_t dim) { return kSpan == 0 ? dim : kSpan; }
  static MLXR_ALWAYS_INLINE F unit(F scale) {
    return kType == KvType::kFP8_E4M3 ? V::mul(scale, V::set(256.0F)) : scale;
  }
  static MLXR_ALWAYS_INLINE F codes(const std::uint8_t* p, bool high) {
    if constexpr (kType == KvType::kQ8_0) return V::load_s8(p);
    if constexpr (kType == KvType::kQ4_0) return V::load_s4(p, high);
    if constexpr (kType == KvType::kFP8_E4M3) return V::load_e4m3(p);
  }
  // Codes of elements element ... of a span of a row.
  static MLXR_ALWAYS_INLINE F codes_at(const std::uint8_t* span_codes, std::int64_t element) {
    constexpr std::int64_t kHalf = kSpan / 2;
    const bool high = kNibbles && element >= kHalf;
    return codes(span_codes + (high ? element - kHalf : element), high);
  }
};

// kVectors vectors of dimensions of value rows, from dimension `dim` on, a multiple of their number of lanes.
template <class V, class Kv, int kVectors>
struct PlainValues {
  using E = typename Kv::Element;
  std::int64_t dim;
  std::int64_t value_dim;

  PlainValues(const AttentionTask& task, std::int64_t first_dim) : dim(first_dim), value_dim(task.value_dim) {}
  MLXR_ALWAYS_INLINE const E* row(const std::byte* tile, std::int64_t position) const {
    return reinterpret_cast<const E*>(tile) + position * value_dim + dim;
  }
  MLXR_ALWAYS_INLINE const E* next(const E* row) const { return row + value_dim; }
  MLXR_ALWAYS_INLINE void load(const E* row, typename V::F32 (&value)[kVectors]) const {
    MLXR_UNROLL
    for (int v = 0; v < kVectors; ++v)
      value[v] = Kv::load(row + v * V::kLanes);
  }
};

// The lanes of kVectors vectors are some of a span or several whole ones.
template <class V, class Kv, int kVectors>
struct ScaledValues {
  static constexpr std::int64_t kWidth = kVectors * V::kLanes;
  static constexpr bool kOneSpan = Kv::kSpan == 0 || kWidth <= Kv::kSpan;
  static constexpr int kSpans = kOneSpan ? 1 : static_cast<int>(kWidth / Kv::kSpan);
  static constexpr int kSpanVectors = kVectors / kSpans;
  static_assert(kSpans * kSpanVectors == kVectors && (kOneSpan || kWidth % Kv::kSpan == 0));
  std::int64_t span_bytes;
  std::int64_t row_bytes;
  std::int64_t first_span;
  std::int64_t in_span;

  ScaledValues(const AttentionTask& task, std::int64_t first_dim) {
    const std::int64_t span = Kv::span(task.value_dim);
    span_bytes = Kv::kScaleBytes + span / Kv::kHalves;
    row_bytes = task.value_dim / span * span_bytes;
    first_span = first_dim / span;
    in_span = first_dim % span;
  }
  MLXR_ALWAYS_INLINE const std::uint8_t* row(const std::byte* tile, std::int64_t position) const {
    return reinterpret_cast<const std::uint8_t*>(tile) + position * row_bytes + first_span * span_bytes;
  }
  MLXR_ALWAYS_INLINE const std::uint8_t* next(const std::uint8_t* row) const { return row + row_bytes; }
  MLXR_ALWAYS_INLINE void load(const std::uint8_t* row, typename V::F32 (&value)[kVectors]) const {
    MLXR_UNROLL
    for (int s = 0; s < kSpans; ++s) {
      const std::uint8_t* span = row + s * span_bytes;
      const typename V::F32 scale = Kv::unit(V::set_f16(span));
      MLXR_UNROLL
      for (int v = 0; v < kSpanVectors; ++v) {
        const std::int64_t element = (kOneSpan ? in_span : 0) + v * V::kLanes;
        value[s * kSpanVectors + v] = V::mul(scale, Kv::codes_at(span + Kv::kScaleBytes, element));
      }
    }
  }
};

}  // namespace mlxr

#endif  // MLXR_CORE_KERNELS_CPU_ATTENTION_KV_INL_H_
