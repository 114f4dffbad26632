// Products of many tokens for NEON with sdot: a chunk of 16 rows decoded to signed bytes, the four of elements 4s ..
// 4s+3 of the rows side by side, meets four tokens at a time; sdot takes a token's four bytes from a lane, so that each
// accumulator lane is one row. Included after groups_neon.inl.h. Bound: sdot.

inline constexpr int kManyTokens = 4;
inline constexpr int kRowVectors = kTileRows / 4;
inline constexpr std::int64_t kChunkBlocks = kChunkElements / 32;

struct alignas(64) Tile {
  std::int8_t quants[kChunkElements / 4][kTileRows][4];
  float scale[kChunkBlocks][kTileRows];
  float min[kChunkBlocks][kTileRows];
  std::int32_t half[kChunkBlocks][2][kTileRows];
  std::int32_t half_min[kChunkBlocks][2][kTileRows];
};
static_assert(sizeof(Tile) <= sizeof(TileScratch));

// What the products with a tile depend on: fewer than there are formats, so that they share the code.
template <bool kTheMin, bool kTheHalfScales, bool kTheHalfMins>
struct TileKind {
  static constexpr bool kHasMin = kTheMin;
  static constexpr bool kHalfScales = kTheHalfScales;
  static constexpr bool kHalfMins = kTheHalfMins;
};
template <class G>
using TileKindOf = TileKind<G::kHasMin, G::kHalfScales, G::kHalfMins>;

// A row that is not there: any quants of scale (next to) zero.
inline constexpr std::uint8_t kZeroGroup[PortableGroup<QuantType::kQ8_0>::kBytes] = {};

// Four rows of 16 elements from rows[0 .. 3] to quants[step .. step + 3][first_row ...].
inline void store_transposed(const int8x16_t (&rows)[4], std::int64_t step, std::int64_t first_row, Tile& tile) {
  const int32x4_t a = vreinterpretq_s32_s8(rows[0]);
  const int32x4_t b = vreinterpretq_s32_s8(rows[1]);
  const int32x4_t c = vreinterpretq_s32_s8(rows[2]);
  const int32x4_t d = vreinterpretq_s32_s8(rows[3]);
  const int64x2_t ab0 = vreinterpretq_s64_s32(vtrn1q_s32(a, b));
  const int64x2_t ab1 = vreinterpretq_s64_s32(vtrn2q_s32(a, b));
  const int64x2_t cd0 = vreinterpretq_s64_s32(vtrn1q_s32(c, d));
  const int64x2_t cd1 = vreinterpretq_s64_s32(vtrn2q_s32(c, d));
  vst1q_s8(tile.quants[step][first_row], vreinterpretq_s8_s64(vtrn1q_s64(ab0, cd0)));
  vst1q_s8(tile.quants[step + 1][first_row], vreinterpretq_s8_s64(vtrn1q_s64(ab1, cd1)));
  vst1q_s8(tile.quants[step + 2][first_row], vreinterpretq_s8_s64(vtrn2q_s64(ab0, cd0)));
  vst1q_s8(tile.quants[step + 3][first_row], vreinterpretq_s8_s64(vtrn2q_s64(ab1, cd1)));
}

template <class G>
inline void store_scales(const Scales& scales, std::int64_t g, std::int64_t row, Tile& tile) {
  float values[8];
  vst1q_f32(values, scales.scale.low);
  vst1q_f32(values + 4, scales.scale.high);
  for (int b = 0; b < 8; ++b)
    tile.scale[8 * g + b][row] = values[b];
  if constexpr (G::kHasMin || G::kHalfMins) {
    vst1q_f32(values, scales.min.low);
    vst1q_f32(values + 4, scales.min.high);
    for (int b = 0; b < 8; ++b)
      tile.min[8 * g + b][row] = values[b];
  }
  if constexpr (G::kHalfScales) {
    std::int8_t half[16];
    vst1q_s8(half, scales.half);
    for (int h = 0; h < 16; ++h)
      tile.half[8 * g + h / 2][h % 2][row] = half[h];
  }
  if constexpr (G::kHalfMins) {
    std::int8_t half[16];
    vst1q_s8(half, scales.half_min);
    for (int h = 0; h < 16; ++h)
      tile.half_min[8 * g + h / 2][h % 2][row] = half[h];
  }
}

// Group `g` of the tile for rows first_row .. first_row + 3.
template <class G>
inline void fill_group(const std::uint8_t* const (&groups)[4], std::int64_t g, std::int64_t first_row, Tile& tile) {
  Quants q[4];
  for (int r = 0; r < 4; ++r) {
    q[r] = G::unpack(groups[r]);
    store_scales<G>(G::scales(groups[r]), g, first_row + r, tile);
  }
  for (int i = 0; i < 16; ++i)
    store_transposed({q[0].v[i], q[1].v[i], q[2].v[i], q[3].v[i]}, 64 * g + 4 * i, first_row, tile);
}

// Groups [first_group, first_group + count) of kTileRows rows from `first_row` on; rows past the last are zero.
template <class G>
inline void fill_tile(const WeightRows& rows, std::int64_t first_row, std::int64_t first_group, std::int64_t count,
                      Tile& tile) {
  const std::int64_t whole_groups = rows.elements / kGroupElements;
  std::uint8_t last[4][G::kBytes];
  for (std::int64_t g = 0; g < count; ++g) {
    const std::int64_t group = first_group + g;
    for (std::int64_t r4 = 0; r4 < kTileRows; r4 += 4) {
      const std::uint8_t* groups[4];
      for (std::int64_t r = 0; r < 4; ++r) {
        const std::int64_t row = first_row + r4 + r;
        const auto* bytes = reinterpret_cast<const std::uint8_t*>(rows.data) +
                            static_cast<std::size_t>(row) * rows.row_bytes +
                            static_cast<std::size_t>(group) * G::kBytes;
        groups[r] = bytes;
        if (row >= rows.num_rows) {
          groups[r] = kZeroGroup;
        } else if (group >= whole_groups) {
          const auto left = static_cast<std::size_t>((rows.elements - group * kGroupElements) / G::kBlockElements);
          std::memset(last[r], 0, sizeof(last[r]));
          std::memcpy(last[r], bytes, left * G::kBlockBytes);
          groups[r] = last[r];
        }
      }
      fill_group<G>(groups, g, r4, tile);
    }
  }
}

// sum[t][v] += products of sixteen elements from `step` on.
template <int kTokens>
MLXR_ALWAYS_INLINE void add_sixteen_dots(const Tile& tile, std::int64_t step, const std::int8_t* const (&x)[kTokens],
                                         int offset, int32x4_t (&sum)[kTokens][kRowVectors]) {
  int8x16_t a[kTokens];
  MLXR_UNROLL
  for (int t = 0; t < kTokens; ++t)
    a[t] = vld1q_s8(x[t] + offset);
  MLXR_UNROLL
  for (int v = 0; v < kRowVectors; ++v) {
    const int8x16_t w0 = vld1q_s8(tile.quants[step][4 * v]);
    const int8x16_t w1 = vld1q_s8(tile.quants[step + 1][4 * v]);
    const int8x16_t w2 = vld1q_s8(tile.quants[step + 2][4 * v]);
    const int8x16_t w3 = vld1q_s8(tile.quants[step + 3][4 * v]);
    MLXR_UNROLL
    for (int t = 0; t < kTokens; ++t) {
      sum[t][v] = vdotq_laneq_s32(sum[t][v], w0, a[t], 0);
      sum[t][v] = vdotq_laneq_s32(sum[t][v], w1, a[t], 1);
      sum[t][v] = vdotq_laneq_s32(sum[t][v], w2, a[t], 2);
      sum[t][v] = vdotq_laneq_s32(sum[t][v], w3, a[t], 3);
    }
  }
}

// The integer sums of a block.
template <class G, int kTokens>
MLXR_ALWAYS_INLINE void block_sums(const Tile& tile, std::int64_t block, const std::int8_t* const (&x)[kTokens],
                                   int32x4_t (&sum)[kTokens][kRowVectors]) {
  MLXR_UNROLL
  for (int t = 0; t < kTokens; ++t) {
    MLXR_UNROLL
    for (int v = 0; v < kRowVectors; ++v)
      sum[t][v] = vdupq_n_s32(0);
  }
  add_sixteen_dots<kTokens>(tile, 8 * block, x, 0, sum);
  if constexpr (!G::kHalfScales) {
    add_sixteen_dots<kTokens>(tile, 8 * block + 4, x, 16, sum);
  } else {
    int32x4_t second[kTokens][kRowVectors];
    MLXR_UNROLL
    for (int t = 0; t < kTokens; ++t) {
      MLXR_UNROLL
      for (int v = 0; v < kRowVectors; ++v)
        second[t][v] = vdupq_n_s32(0);
    }
    add_sixteen_dots<kTokens>(tile, 8 * block + 4, x, 16, second);
    MLXR_UNROLL
    for (int v = 0; v < kRowVectors; ++v) {
      const int32x4_t half0 = vld1q_s32(tile.half[block][0] + 4 * v);
      const int32x4_t half1 = vld1q_s32(tile.half[block][1] + 4 * v);
      MLXR_UNROLL
      for (int t = 0; t < kTokens; ++t)
        sum[t][v] = vmlaq_s32(vmulq_s32(sum[t][v], half0), second[t][v], half1);
    }
  }
}

// out[t][0 .. 15] += products of kTokens tokens with the tile over `num_chunk_groups` groups.
template <class G, int kTokens>
inline void dot_tile(const Tile& tile, std::int64_t num_chunk_groups, const ActivationGroup* x,
                     std::int64_t groups_per_row, NextTile& next, DotOutput out) {
  float32x4_t acc[8][kTokens][kRowVectors];
  for (auto& lane : acc) {
    for (auto& token : lane) {
      for (auto& rows : token)
        rows = vdupq_n_f32(0.0F);
    }
  }
  for (std::int64_t g = 0; g < num_chunk_groups; ++g) {
    for (int b = 0; b < 8; ++b) {
      next.read();
      const std::int64_t block = 8 * g + b;
      const std::int8_t* quants[kTokens];
      MLXR_UNROLL
      for (int t = 0; t < kTokens; ++t)
        quants[t] = x[t * groups_per_row + g].q + 32 * b;
      int32x4_t sum[kTokens][kRowVectors];
      block_sums<G, kTokens>(tile, block, quants, sum);
      MLXR_UNROLL
      for (int v = 0; v < kRowVectors; ++v) {
        const float32x4_t scale = vld1q_f32(tile.scale[block] + 4 * v);
        MLXR_UNROLL
        for (int t = 0; t < kTokens; ++t) {
          const ActivationGroup& a = x[t * groups_per_row + g];
          float32x4_t r = vfmaq_f32(acc[b][t][v], vcvtq_f32_s32(sum[t][v]), vmulq_n_f32(scale, a.scale[b]));
          if constexpr (G::kHasMin) r = vfmsq_f32(r, vld1q_f32(tile.min[block] + 4 * v), vdupq_n_f32(a.scaled_sum[b]));
          if constexpr (G::kHalfMins) {
            int32x4_t min_sums = vmulq_n_s32(vld1q_s32(tile.half_min[block][0] + 4 * v), a.half_sum[b][0]);
            min_sums = vmlaq_n_s32(min_sums, vld1q_s32(tile.half_min[block][1] + 4 * v), a.half_sum[b][1]);
            const float32x4_t min = vmulq_n_f32(vld1q_f32(tile.min[block] + 4 * v), a.scale[b]);
            r = vfmsq_f32(r, min, vcvtq_f32_s32(min_sums));
          }
          acc[b][t][v] = r;
        }
      }
    }
  }
  for (int t = 0; t < kTokens; ++t) {
    for (int v = 0; v < kRowVectors; ++v) {
      const float32x4_t s0 = vaddq_f32(acc[0][t][v], acc[4][t][v]);
      const float32x4_t s1 = vaddq_f32(acc[1][t][v], acc[5][t][v]);
      const float32x4_t s2 = vaddq_f32(acc[2][t][v], acc[6][t][v]);
      const float32x4_t s3 = vaddq_f32(acc[3][t][v], acc[7][t][v]);
      float* to = out.data + t * out.stride + 4 * v;
      vst1q_f32(to, vaddq_f32(vld1q_f32(to), vaddq_f32(vaddq_f32(s0, s2), vaddq_f32(s1, s3))));
    }
  }
}
