// Products with weights that are floats, or are decoded to floats first. Templates on the float vocabulary V
// (simd_scalar.h). Included once an instruction set, inside its namespace and target region.
//
// Element k of a chunk adds to accumulator k % 16 in every kernel here, so that few and many tokens give the same bits
// (matmul_kernels.h). `few` reads the stored elements and keeps all sixteen accumulators of a row in registers; bound:
// reading the weights from memory. `many` decodes 32 rows x 512 elements to f32 once for all tokens (64 KB, in L2),
// takes eight of those rows at a time (L1) through a block of tokens (L2), and walks a tile once for each register's
// worth of the sixteen, so that a whole register file of (row, token) pairs is in flight; bound: two fma a cycle.

inline constexpr int kFloatLanes = 16;

template <class V>
struct LoadF32 {
  static constexpr std::size_t kBytes = 4;
  static MLXR_ALWAYS_INLINE typename V::F32 load(const std::byte* p) {
    return V::load(reinterpret_cast<const float*>(p));
  }
};

template <class V>
struct LoadF16 {
  static constexpr std::size_t kBytes = 2;
  static MLXR_ALWAYS_INLINE typename V::F32 load(const std::byte* p) {
    return V::load_f16(reinterpret_cast<const std::uint16_t*>(p));
  }
};

template <class V>
struct LoadBf16 {
  static constexpr std::size_t kBytes = 2;
  static MLXR_ALWAYS_INLINE typename V::F32 load(const std::byte* p) {
    return V::load_bf16(reinterpret_cast<const std::uint16_t*>(p));
  }
};

// The sixteen accumulators of one (row, token) pair, folded.
template <class V>
MLXR_ALWAYS_INLINE float fold_lanes(const typename V::F32 (&acc)[kFloatLanes / V::kLanes]) {
  constexpr int kVectors = kFloatLanes / V::kLanes;
  if constexpr (kVectors == 4) return V::reduce_add(V::add(V::add(acc[0], acc[2]), V::add(acc[1], acc[3])));
  if constexpr (kVectors == 2) return V::reduce_add(V::add(acc[0], acc[1]));
  return V::reduce_add(acc[0]);
}

// acc[r][t] += sixteen elements at w[r] times those at x + t * stride.
template <class V, class Load, int kRows, int kTokens>
MLXR_ALWAYS_INLINE void add_sixteen(const std::byte* const (&w)[kRows], const float* x, std::int64_t stride,
                                    typename V::F32 (&acc)[kRows][kTokens][kFloatLanes / V::kLanes]) {
  MLXR_UNROLL
  for (int v = 0; v < kFloatLanes / V::kLanes; ++v) {
    typename V::F32 xs[kTokens];
    MLXR_UNROLL
    for (int t = 0; t < kTokens; ++t)
      xs[t] = V::load(x + t * stride + v * V::kLanes);
    MLXR_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const auto wr = Load::load(w[r] + static_cast<std::size_t>(v * V::kLanes) * Load::kBytes);
      MLXR_UNROLL
      for (int t = 0; t < kTokens; ++t)
        acc[r][t][v] = V::fma(wr, xs[t], acc[r][t][v]);
    }
  }
}

template <class V, class Load, int kRows, int kTokens>
inline void dot_floats_few(const WeightRows& rows, std::int64_t first_row, FloatInput x, DotOutput out) {
  float total[kRows][kTokens] = {};
  for (std::int64_t first = 0; first < rows.elements; first += kFloatChunkElements) {
    const std::int64_t left = rows.elements - first;
    const std::int64_t count = left < kFloatChunkElements ? left : kFloatChunkElements;
    const std::byte* w[kRows];
    typename V::F32 acc[kRows][kTokens][kFloatLanes / V::kLanes];
    MLXR_UNROLL
    for (int r = 0; r < kRows; ++r) {
      w[r] = rows.data + static_cast<std::size_t>(first_row + r) * rows.row_bytes +
             static_cast<std::size_t>(first) * Load::kBytes;
      for (auto& token : acc[r]) {
        for (auto& lane : token)
          lane = V::zero();
      }
    }
    const float* xs = x.data + first;
    std::int64_t k = 0;
    for (; k + kFloatLanes <= count; k += kFloatLanes) {
      add_sixteen<V, Load, kRows, kTokens>(w, xs + k, x.stride, acc);
      MLXR_UNROLL
      for (int r = 0; r < kRows; ++r)
        w[r] += kFloatLanes * Load::kBytes;
    }
    if (k < count) {
      alignas(64) std::byte tail[kRows][kFloatLanes * Load::kBytes];
      std::memset(tail, 0, sizeof(tail));
      for (int r = 0; r < kRows; ++r) {
        std::memcpy(tail[r], w[r], static_cast<std::size_t>(count - k) * Load::kBytes);
        w[r] = tail[r];
      }
      add_sixteen<V, Load, kRows, kTokens>(w, xs + k, x.stride, acc);
    }
    for (int r = 0; r < kRows; ++r) {
      for (int t = 0; t < kTokens; ++t)
        total[r][t] += fold_lanes<V>(acc[r][t]);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int t = 0; t < kTokens; ++t)
      out.data[t * out.stride + first_row + r] = total[r][t];
  }
}

// Rows that fit half the register file with all their accumulators.
template <class V, int kTokens>
constexpr int few_rows() {
  constexpr int kFit = V::kRegisters / 2 / (kFloatLanes / V::kLanes * kTokens);
  return kFit >= 4 ? 4 : kFit >= 2 ? 2 : 1;
}

template <class V, class Load, int kTokens>
inline void dot_floats_few_rows(const WeightRows& rows, FloatInput x, DotOutput out) {
  constexpr int kRows = few_rows<V, kTokens>();
  std::int64_t r = 0;
  for (; r + kRows <= rows.num_rows; r += kRows)
    dot_floats_few<V, Load, kRows, kTokens>(rows, r, x, out);
  for (; r < rows.num_rows; ++r)
    dot_floats_few<V, Load, 1, kTokens>(rows, r, x, out);
}

// FloatDotFn for a type with elements as Load reads them.
template <class V, class Load>
inline void dot_floats(const WeightRows& rows, FloatInput x, std::int64_t tokens, TileScratch&, DotOutput out) {
  std::int64_t t = 0;
  for (; t + 2 <= tokens; t += 2)
    dot_floats_few_rows<V, Load, 2>(rows, {x.data + t * x.stride, x.stride}, {out.data + t * out.stride, out.stride});
  if (t < tokens)
    dot_floats_few_rows<V, Load, 1>(rows, {x.data + t * x.stride, x.stride}, {out.data + t * out.stride, out.stride});
}

inline constexpr int kDecodedRows = 4;     // of a register tile
inline constexpr int kDecodedPanel = 8;    // rows that stay in L1
inline constexpr int kDecodedTokens = 64;  // whose chunk of activations stays in L2
// Elements from one decoded row to the next: not a power of two, which would put all rows into the same cache sets.
inline constexpr std::int64_t kDecodedPitch = kFloatChunkElements + 16;

// out[t][0 .. 3] += products of four decoded rows, kDecodedPitch apart, with kTokens tokens.
template <class V, int kTokens>
inline void dot_decoded_tile(const float* w, std::int64_t count, FloatInput x, DotOutput out) {
  constexpr int kVectors = kFloatLanes / V::kLanes;
  typename V::F32 done[kDecodedRows][kTokens][kVectors];
  for (int v = 0; v < kVectors; ++v) {
    typename V::F32 acc[kDecodedRows][kTokens];
    MLXR_UNROLL
    for (int r = 0; r < kDecodedRows; ++r) {
      MLXR_UNROLL
      for (int t = 0; t < kTokens; ++t)
        acc[r][t] = V::zero();
    }
    for (std::int64_t k = v * V::kLanes; k < count; k += kFloatLanes) {
      typename V::F32 xs[kTokens];
      MLXR_UNROLL
      for (int t = 0; t < kTokens; ++t)
        xs[t] = V::load(x.data + t * x.stride + k);
      MLXR_UNROLL
      for (int r = 0; r < kDecodedRows; ++r) {
        const auto wr = V::load(w + r * kDecodedPitch + k);
        MLXR_UNROLL
        for (int t = 0; t < kTokens; ++t)
          acc[r][t] = V::fma(wr, xs[t], acc[r][t]);
      }
    }
    MLXR_UNROLL
    for (int r = 0; r < kDecodedRows; ++r) {
      MLXR_UNROLL
      for (int t = 0; t < kTokens; ++t)
        done[r][t][v] = acc[r][t];
    }
  }
  for (int t = 0; t < kTokens; ++t) {
    for (int r = 0; r < kDecodedRows; ++r)
      out.data[t * out.stride + r] += fold_lanes<V>(done[r][t]);
  }
}

// Some tokens with `num_rows` (a multiple of four) decoded rows.
template <class V>
inline void dot_decoded_panel(const float* w, std::int64_t num_rows, std::int64_t count, FloatInput x,
                              std::int64_t tokens, DotOutput out) {
  constexpr int kTokens = V::kRegisters >= 32 ? 6 : 3;
  std::int64_t t = 0;
  for (; t + kTokens <= tokens; t += kTokens) {
    for (std::int64_t r = 0; r < num_rows; r += kDecodedRows)
      dot_decoded_tile<V, kTokens>(w + r * kDecodedPitch, count, {x.data + t * x.stride, x.stride},
                                   {out.data + t * out.stride + r, out.stride});
  }
  for (; t < tokens; ++t) {
    for (std::int64_t r = 0; r < num_rows; r += kDecodedRows)
      dot_decoded_tile<V, 1>(w + r * kDecodedPitch, count, {x.data + t * x.stride, x.stride},
                             {out.data + t * out.stride + r, out.stride});
  }
}

// All tokens with `num_rows` (a multiple of four) decoded rows.
template <class V>
inline void dot_decoded_chunk(const float* w, std::int64_t num_rows, std::int64_t count, FloatInput x,
                              std::int64_t tokens, DotOutput out) {
  for (std::int64_t t = 0; t < tokens; t += kDecodedTokens) {
    const std::int64_t num_tokens = tokens - t < kDecodedTokens ? tokens - t : kDecodedTokens;
    for (std::int64_t r = 0; r < num_rows; r += kDecodedPanel) {
      const std::int64_t rows = num_rows - r < kDecodedPanel ? num_rows - r : kDecodedPanel;
      dot_decoded_panel<V>(w + r * kDecodedPitch, rows, count, {x.data + t * x.stride, x.stride}, num_tokens,
                           {out.data + t * out.stride + r, out.stride});
    }
  }
}

// One chunk of a row as f32, zeroes up to the next multiple of sixteen.
template <class V, class Load>
inline void convert_chunk(const std::byte* from, std::int64_t count, float* to) {
  std::int64_t k = 0;
  for (; k + V::kLanes <= count; k += V::kLanes)
    V::store(to + k, Load::load(from + static_cast<std::size_t>(k) * Load::kBytes));
  if (k < count) {
    alignas(64) std::byte tail[V::kLanes * Load::kBytes];
    std::memset(tail, 0, sizeof(tail));
    std::memcpy(tail, from + static_cast<std::size_t>(k) * Load::kBytes,
                static_cast<std::size_t>(count - k) * Load::kBytes);
    V::store(to + k, Load::load(tail));
    k += V::kLanes;
  }
  for (; k % kFloatLanes != 0; k += V::kLanes)
    V::store(to + k, V::zero());
}

struct DecodeByTable {};

static_assert(kMaxTileRows * kDecodedPitch * sizeof(float) <= sizeof(TileScratch));

// FloatDotFn: elements as Load reads them, or, with DecodeByTable, whatever quant.def decodes.
template <class V, class Load>
inline void dot_decoded(const WeightRows& rows, FloatInput x, std::int64_t tokens, TileScratch& scratch,
                        DotOutput out) {
  auto* decoded = reinterpret_cast<float*>(scratch.bytes);
  const std::int64_t padded_rows = (rows.num_rows + kDecodedRows - 1) / kDecodedRows * kDecodedRows;
  for (std::int64_t t = 0; t < tokens; ++t)
    std::memset(out.data + t * out.stride, 0, static_cast<std::size_t>(padded_rows) * sizeof(float));
  for (std::int64_t r = rows.num_rows; r < padded_rows; ++r)
    std::memset(decoded + r * kDecodedPitch, 0, kFloatChunkElements * sizeof(float));
  for (std::int64_t first = 0; first < rows.elements; first += kFloatChunkElements) {
    const std::int64_t left = rows.elements - first;
    const std::int64_t count = left < kFloatChunkElements ? left : kFloatChunkElements;
    for (std::int64_t r = 0; r < rows.num_rows; ++r) {
      float* to = decoded + r * kDecodedPitch;
      if constexpr (std::is_same_v<Load, DecodeByTable>) {
        decode_chunk(rows, r, first, count, to);
      } else {
        const std::size_t start = static_cast<std::size_t>(r) * rows.row_bytes;
        convert_chunk<V, Load>(rows.data + start + static_cast<std::size_t>(first) * Load::kBytes, count, to);
      }
    }
    const std::int64_t padded = (count + kFloatLanes - 1) / kFloatLanes * kFloatLanes;
    dot_decoded_chunk<V>(decoded, padded_rows, padded, {x.data + first, x.stride}, tokens, out);
  }
}
