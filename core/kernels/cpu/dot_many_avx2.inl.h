// Products of many tokens with a tile of rows (tile_x86.inl.h), AVX2 form: 16 rows x 4 tokens in registers.
//
// Sums of four products go as far as they may in 16 bits before they are widened: a whole block for 4-bit quants, half
// a block for 5 bits, 8 elements for 6 bits with their scales multiplied in by the widening instruction, 4 elements for
// 8 bits. Bound: vpmaddubsw, two a cycle.

inline constexpr int kManyTokens = 4;

inline __m256i broadcast4(const std::int8_t* p) {
  return _mm256_set1_epi32(load_bytes<std::int32_t>(reinterpret_cast<const std::uint8_t*>(p)));
}
inline __m256i load_tile(const std::uint8_t (*step)[4], int v) {
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(step[8 * v]));
}

// Integer sums of one block for two vectors of eight rows, before the zero point.
template <class G, int kTokens>
MLXR_ALWAYS_INLINE void block_sums(const Tile& tile, std::int64_t block, const std::int8_t* const (&x)[kTokens],
                                   __m256i (&sum)[kTokens][2]) {
  // Elements whose products a 16-bit lane can hold, in steps of four.
  constexpr int kSteps = G::kRange == QuantRange::kHalves ? (G::kMaxQuant <= 31   ? 4
                                                             : G::kMaxQuant <= 63 ? 2
                                                                                  : 1)
                                                          : (G::kMaxQuant <= 15   ? 8
                                                             : G::kMaxQuant <= 31 ? 4
                                                                                  : 1);
  const auto* steps = tile.quants + 8 * block;
  MLXR_UNROLL
  for (int t = 0; t < kTokens; ++t)
    sum[t][0] = sum[t][1] = _mm256_setzero_si256();
  MLXR_UNROLL
  for (int first = 0; first < 8; first += kSteps) {
    __m256i part[kTokens][2];
    MLXR_UNROLL
    for (int s = first; s < first + kSteps; ++s) {
      const __m256i w0 = load_tile(steps[s], 0);
      const __m256i w1 = load_tile(steps[s], 1);
      MLXR_UNROLL
      for (int t = 0; t < kTokens; ++t) {
        const __m256i a = broadcast4(x[t] + 4 * s);
        __m256i p0;
        __m256i p1;
        if constexpr (G::kRange == QuantRange::kSigned) {
          p0 = _mm256_maddubs_epi16(_mm256_abs_epi8(w0), _mm256_sign_epi8(a, w0));
          p1 = _mm256_maddubs_epi16(_mm256_abs_epi8(w1), _mm256_sign_epi8(a, w1));
        } else {
          p0 = _mm256_maddubs_epi16(w0, a);
          p1 = _mm256_maddubs_epi16(w1, a);
        }
        part[t][0] = s == first ? p0 : _mm256_add_epi16(part[t][0], p0);
        part[t][1] = s == first ? p1 : _mm256_add_epi16(part[t][1], p1);
        MLXR_SETTLE(part[t][0]);
        MLXR_SETTLE(part[t][1]);
      }
    }
    __m256i factor[2] = {_mm256_set1_epi16(1), _mm256_set1_epi16(1)};
    if constexpr (G::kRange == QuantRange::kHalves) {
      factor[0] = load32(tile.half_each[block][first / 4]);
      factor[1] = load32(tile.half_each[block][first / 4] + 8);
    }
    MLXR_UNROLL
    for (int t = 0; t < kTokens; ++t) {
      sum[t][0] = _mm256_add_epi32(sum[t][0], _mm256_madd_epi16(part[t][0], factor[0]));
      sum[t][1] = _mm256_add_epi32(sum[t][1], _mm256_madd_epi16(part[t][1], factor[1]));
      MLXR_SETTLE(sum[t][0]);
      MLXR_SETTLE(sum[t][1]);
    }
  }
}

inline __m256i broadcast_halves(const ActivationGroup& x, int b) {
  return _mm256_set1_epi32(load_bytes<std::int32_t>(reinterpret_cast<const std::uint8_t*>(x.half_sum[b])));
}

// What the zero point takes off the sums of one token.
template <class G>
MLXR_ALWAYS_INLINE __m256i zero_sums(const Tile& tile, std::int64_t block, int v, const ActivationGroup& x, int b) {
  if constexpr (G::kRange == QuantRange::kHalves) {
    const __m256i halves = broadcast_halves(x, b);
    return _mm256_slli_epi32(_mm256_madd_epi16(load32(tile.half[block] + 8 * v), halves), G::kZeroLog2);
  } else {
    return _mm256_slli_epi32(_mm256_set1_epi32(x.sum[b]), G::kZeroLog2);
  }
}

// out[t][0 .. 15] += products of kTokens tokens with the tile's 16 rows over `num_chunk_groups` groups.
template <class G, int kTokens>
inline void dot_tile(const Tile& tile, std::int64_t num_chunk_groups, const ActivationGroup* x,
                     std::int64_t groups_per_row, NextTile& next, DotOutput out) {
  constexpr bool kZero = G::kZeroLog2 >= 0 && G::kRange != QuantRange::kSigned;
  __m256 acc[8][kTokens][2];
  for (auto& lane : acc) {
    for (auto& token : lane)
      token[0] = token[1] = _mm256_setzero_ps();
  }
  for (std::int64_t g = 0; g < num_chunk_groups; ++g) {
    for (int b = 0; b < 8; ++b) {
      next.read();
      const std::int64_t block = 8 * g + b;
      const std::int8_t* quants[kTokens];
      MLXR_UNROLL
      for (int t = 0; t < kTokens; ++t)
        quants[t] = x[t * groups_per_row + g].q + 32 * b;
      __m256i sum[kTokens][2];
      block_sums<G, kTokens>(tile, block, quants, sum);
      MLXR_UNROLL
      for (int v = 0; v < 2; ++v) {
        const __m256 scale = _mm256_load_ps(tile.scale[block] + 8 * v);
        MLXR_UNROLL
        for (int t = 0; t < kTokens; ++t) {
          const ActivationGroup& a = x[t * groups_per_row + g];
          if constexpr (kZero) sum[t][v] = _mm256_sub_epi32(sum[t][v], zero_sums<G>(tile, block, v, a, b));
          __m256 r = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum[t][v]), _mm256_mul_ps(scale, _mm256_set1_ps(a.scale[b])),
                                     acc[b][t][v]);
          if constexpr (G::kHasMin)
            r = _mm256_fnmadd_ps(_mm256_load_ps(tile.min[block] + 8 * v), _mm256_set1_ps(a.scaled_sum[b]), r);
          if constexpr (G::kHalfMins) {
            const __m256i sums = _mm256_madd_epi16(load32(tile.half_min[block] + 8 * v), broadcast_halves(a, b));
            const __m256 min = _mm256_mul_ps(_mm256_load_ps(tile.min[block] + 8 * v), _mm256_set1_ps(a.scale[b]));
            r = _mm256_fnmadd_ps(min, _mm256_cvtepi32_ps(sums), r);
          }
          acc[b][t][v] = r;
        }
      }
    }
  }
  for (int t = 0; t < kTokens; ++t) {
    for (int v = 0; v < 2; ++v) {
      const __m256 s0 = _mm256_add_ps(acc[0][t][v], acc[4][t][v]);
      const __m256 s1 = _mm256_add_ps(acc[1][t][v], acc[5][t][v]);
      const __m256 s2 = _mm256_add_ps(acc[2][t][v], acc[6][t][v]);
      const __m256 s3 = _mm256_add_ps(acc[3][t][v], acc[7][t][v]);
      const __m256 sum = _mm256_add_ps(_mm256_add_ps(s0, s2), _mm256_add_ps(s1, s3));
      float* to = out.data + t * out.stride + 8 * v;
      _mm256_storeu_ps(to, _mm256_add_ps(_mm256_loadu_ps(to), sum));
    }
  }
}
