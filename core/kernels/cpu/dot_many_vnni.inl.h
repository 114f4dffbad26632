// Products of many tokens with a tile of rows (tile_x86.inl.h) by vpdpbusd. Included after a vocabulary of the width in
// use: WI and WF (kWideLanes 32-bit lanes) with wi_load, wi_set, wi_dot, wi_madd, wf_load, wf_set, wf_from, wf_add,
// wf_mul, wf_fma, wf_fnma and wf_add_to (memory), and with kManyTokens and kTileRows = 2 * kWideLanes said.
//
// Two registers of rows meet kManyTokens tokens. The zero point is where the sums start, so that it costs nothing; the
// f32 accumulators live in L1 and are touched once for eight vpdpbusd. Scales for every 16 elements multiply as f32,
// which is exact: a sum of 16 products times a scale stays below 2^23. Bound: vpdpbusd and the f32 operations share two
// ports, so 8 of 11 (plain) to 8 of 14 (halves) cycles are vpdpbusd's.

// sum[t][v] += four elements of `kSteps` steps from `first` on.
template <int kTokens, int kFirst, int kSteps>
MLXR_ALWAYS_INLINE void add_steps(const Tile& tile, std::int64_t block, const std::int8_t* const (&x)[kTokens],
                                  WI (&sum)[kTokens][2]) {
  const auto* steps = tile.quants + 8 * block;
  MLXR_UNROLL
  for (int s = kFirst; s < kFirst + kSteps; ++s) {
    const WI w0 = wi_load(steps[s]);
    const WI w1 = wi_load(steps[s] + kWideLanes);
    MLXR_UNROLL
    for (int t = 0; t < kTokens; ++t) {
      const WI a = wi_set(load_bytes<std::int32_t>(reinterpret_cast<const std::uint8_t*>(x[t]) + 4 * s));
      sum[t][0] = wi_dot(sum[t][0], w0, a);
      sum[t][1] = wi_dot(sum[t][1], w1, a);
    }
  }
}

// The integer sums of a block, as f32, zero point included.
template <class G, int kTokens>
MLXR_ALWAYS_INLINE void block_sums(const Tile& tile, std::int64_t g, int b, const ActivationGroup* x,
                                   std::int64_t groups_per_row, WF (&result)[kTokens][2]) {
  const std::int64_t block = 8 * g + b;
  const std::int8_t* quants[kTokens];
  WI sum[kTokens][2];
  MLXR_UNROLL
  for (int t = 0; t < kTokens; ++t)
    quants[t] = x[t * groups_per_row + g].q + 32 * b;
  if constexpr (G::kRange != QuantRange::kHalves) {
    MLXR_UNROLL
    for (int t = 0; t < kTokens; ++t) {
      const std::int32_t zero = G::kZeroLog2 >= 0 ? -(x[t * groups_per_row + g].sum[b] * (1 << G::kZeroLog2)) : 0;
      sum[t][0] = sum[t][1] = wi_set(zero);
    }
    add_steps<kTokens, 0, 8>(tile, block, quants, sum);
    MLXR_UNROLL
    for (int t = 0; t < kTokens; ++t) {
      result[t][0] = wf_from(sum[t][0]);
      result[t][1] = wf_from(sum[t][1]);
    }
  } else {
    MLXR_UNROLL
    for (int half = 0; half < 2; ++half) {
      MLXR_UNROLL
      for (int t = 0; t < kTokens; ++t) {
        const std::int32_t half_sum = x[t * groups_per_row + g].half_sum[b][half];
        sum[t][0] = sum[t][1] = wi_set(G::kZeroLog2 >= 0 ? -(half_sum * (1 << (G::kZeroLog2 & 31))) : 0);
      }
      if (half == 0) {
        add_steps<kTokens, 0, 4>(tile, block, quants, sum);
      } else {
        add_steps<kTokens, 4, 4>(tile, block, quants, sum);
      }
      MLXR_UNROLL
      for (int v = 0; v < 2; ++v) {
        const WF scale = wf_load(tile.half_each[block][half] + v * kWideLanes);
        MLXR_UNROLL
        for (int t = 0; t < kTokens; ++t)
          result[t][v] =
              half == 0 ? wf_mul(wf_from(sum[t][v]), scale) : wf_fma(wf_from(sum[t][v]), scale, result[t][v]);
      }
    }
  }
}

// out[t][0 .. kTileRows - 1] += products of kTokens tokens with the tile over `num_chunk_groups` groups.
template <class G, int kTokens>
inline void dot_tile(const Tile& tile, std::int64_t num_chunk_groups, const ActivationGroup* x,
                     std::int64_t groups_per_row, NextTile& next, DotOutput out) {
  WF acc[8][kTokens][2];
  for (auto& lane : acc) {
    for (auto& token : lane)
      token[0] = token[1] = wf_set(0.0F);
  }
  for (std::int64_t g = 0; g < num_chunk_groups; ++g) {
    for (int b = 0; b < 8; ++b) {
      next.read();
      const std::int64_t block = 8 * g + b;
      WF sums[kTokens][2];
      block_sums<G, kTokens>(tile, g, b, x, groups_per_row, sums);
      MLXR_UNROLL
      for (int v = 0; v < 2; ++v) {
        const WF scale = wf_load(tile.scale[block] + v * kWideLanes);
        MLXR_UNROLL
        for (int t = 0; t < kTokens; ++t) {
          const ActivationGroup& a = x[t * groups_per_row + g];
          WF r = wf_fma(sums[t][v], wf_mul(scale, wf_set(a.scale[b])), acc[b][t][v]);
          if constexpr (G::kHasMin) r = wf_fnma(wf_load(tile.min[block] + v * kWideLanes), wf_set(a.scaled_sum[b]), r);
          if constexpr (G::kHalfMins) {
            const WI halves = wi_set(load_bytes<std::int32_t>(reinterpret_cast<const std::uint8_t*>(a.half_sum[b])));
            const WI min_sums = wi_madd(wi_load(tile.half_min[block] + v * kWideLanes), halves);
            const WF min = wf_mul(wf_load(tile.min[block] + v * kWideLanes), wf_set(a.scale[b]));
            r = wf_fnma(min, wf_from(min_sums), r);
          }
          acc[b][t][v] = r;
        }
      }
    }
  }
  for (int t = 0; t < kTokens; ++t) {
    for (int v = 0; v < 2; ++v) {
      const WF s0 = wf_add(acc[0][t][v], acc[4][t][v]);
      const WF s1 = wf_add(acc[1][t][v], acc[5][t][v]);
      const WF s2 = wf_add(acc[2][t][v], acc[6][t][v]);
      const WF s3 = wf_add(acc[3][t][v], acc[7][t][v]);
      wf_add_to(out.data + t * out.stride + v * kWideLanes, wf_add(wf_add(s0, s2), wf_add(s1, s3)));
    }
  }
}
