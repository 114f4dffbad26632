// Attention of a run of query rows against a range of positions. Included inside a target region (target_region.h)
// after the vocabulary, simd_math.h and attention_kv.inl.h. Layouts: core/backend/host_kv_storage.h; rows and cuts:
// attention_task.h.
//
// A tile of up to 64 positions at a time (Dao et al., FlashAttention-2, arXiv:2307.08691):
//  1. scores [rows, 64]: a vector of positions a lane each, one fma a dimension, in the order of the dimensions; groups
//     of rows times vectors fill the registers, so that a key vector is loaded (and widened) once for the group;
//  2. each row by itself: scale, cap, mask, new maximum, e^x, sum; when the maximum grew, the row of acc is scaled
//  down;
//  3. acc [rows, value_dim]: a vector of dimensions, one fma a position in ascending order, for the row's own positions
//     only: what lies in other slots is never touched, not even multiplied by 0.
// So every number of a row has one order of operations, whatever the grouping, and one query has the same bits alone,
// in a chunk and in a batch.
//
// Types with scales trade reading for widening. Time of one layer's decode step, 32 heads on 4 kv heads of 64, 4096
// positions, two threads of an EPYC 7003 (AVX2), the shortest of many runs on a busy machine; bytes of a token's key
// and value in these heads:
//              bytes    1 sequence   16 sequences
//   f16         1024        447 us         9.5 ms
//   q8_0         544        389 us        11.6 ms
//   fp8_e4m3     528        575 us        14.0 ms
//   q4_0         288        586 us        12.2 ms

#ifndef MLXR_CORE_KERNELS_CPU_ATTENTION_KERNEL_INL_H_
#define MLXR_CORE_KERNELS_CPU_ATTENTION_KERNEL_INL_H_

namespace mlxr {

// One tile of positions and where its keys and values are.
template <class V>
struct AttentionTile {
  static constexpr int kMaxPieces = 4;
  std::int64_t begin = 0;  // position
  std::int64_t size = 0;
  std::int64_t piece_size = 0;             // positions in one block, a piece each
  std::int64_t offset = 0;                 // of the first position in its block
  const std::byte* keys[kMaxPieces] = {};  // tiles of the blocks
  const std::byte* values[kMaxPieces] = {};
};

// The positions of a tile that a row sees: [begin, end) counted from the tile's first.
template <class V>
struct VisiblePositions {
  std::int64_t begin;
  std::int64_t end;

  static MLXR_ALWAYS_INLINE VisiblePositions of(const AttentionTask& task, std::int64_t tile_begin,
                                                std::int64_t tile_size, std::int64_t row) {
    const std::int64_t position = task.first_position + row / task.group - tile_begin;
    const std::int64_t end = position + 1 < tile_size ? position + 1 : tile_size;
    const std::int64_t begin = task.window > 0 && position - task.window + 1 > 0 ? position - task.window + 1 : 0;
    return {begin, end};
  }
  MLXR_ALWAYS_INLINE bool none() const { return begin >= end; }
};

template <class V>
MLXR_ALWAYS_INLINE AttentionTile<V> find_tile(const AttentionTask& task, std::int64_t position, std::int64_t end) {
  const std::int64_t block_tokens = task.cuts.block_tokens;
  AttentionTile<V> tile;
  if (task.cuts.tile_spans_blocks) {
    tile.begin = position - position % kAttentionTile;
    tile.size = kAttentionTile;
    tile.piece_size = block_tokens;
  } else {
    const std::int64_t in_block = position % block_tokens;
    tile.offset = in_block - in_block % kAttentionTile;
    tile.begin = position - in_block + tile.offset;
    const std::int64_t left = block_tokens - tile.offset;
    tile.size = left < kAttentionTile ? left : kAttentionTile;
    tile.piece_size = tile.size;
  }
  const std::int64_t first_block = tile.begin / block_tokens;
  for (int i = 0; i < AttentionTile<V>::kMaxPieces; ++i) {
    // Blocks beyond the context need not exist; their scores are computed from the first piece and never looked at.
    const bool exists = i * tile.piece_size < tile.size && tile.begin + i * tile.piece_size < end;
    const auto block = static_cast<std::size_t>(task.blocks[first_block + (exists ? i : 0)]);
    tile.keys[i] = task.keys + block * task.key_block_bytes;
    tile.values[i] = task.values + block * task.value_block_bytes;
  }
  return tile;
}

// How many vectors of positions or dimensions go with a number of rows, so that all sums stay in registers.
template <class V, int kRows>
constexpr int kVectorsFor = V::kRegisters >= 32 ? (kRows <= 2 ? 8 : 4)
                                                : (kRows == 1   ? 8
                                                   : kRows == 2 ? 4
                                                                : 2);

// Neighbouring columns of a key tile, from `position` on.
struct KeyPlace {
  const std::byte* tile;
  std::int64_t position;
};

// sums += the product of a dimension's query elements and its keys
template <class V, int kRows, int kVectors>
MLXR_ALWAYS_INLINE void add_dimension(const float* const* q, std::int64_t d, const typename V::F32 (&keys)[kVectors],
                                      typename V::F32 (&sums)[kRows][kVectors]) {
  MLXR_UNROLL
  for (int r = 0; r < kRows; ++r) {
    const typename V::F32 element = V::set(q[r][d]);
    MLXR_UNROLL
    for (int v = 0; v < kVectors; ++v)
      sums[r][v] = V::fma(element, keys[v], sums[r][v]);
  }
}

template <class V, int kRows, int kVectors>
MLXR_ALWAYS_INLINE void clear(typename V::F32 (&sums)[kRows][kVectors]) {
  MLXR_UNROLL
  for (int r = 0; r < kRows; ++r) {
    MLXR_UNROLL
    for (int v = 0; v < kVectors; ++v)
      sums[r][v] = V::zero();
  }
}

// Scores of kRows rows for kVectors vectors of positions: half of them from `first`, half from `second`.
template <class V, class Kv, int kRows, int kVectors>
MLXR_ALWAYS_INLINE void score_vectors(const AttentionTask& task, const float* const* q, KeyPlace first, KeyPlace second,
                                      float* const* scores) {
  using E = typename Kv::Element;
  constexpr int kHalf = kVectors / 2;
  typename V::F32 sums[kRows][kVectors];
  clear<V>(sums);
  const E* keys0 = reinterpret_cast<const E*>(first.tile) + first.position;
  const E* keys1 = reinterpret_cast<const E*>(second.tile) + second.position;
  for (std::int64_t d = 0; d < task.key_dim; ++d) {
    typename V::F32 keys[kVectors];
    MLXR_UNROLL
    for (int v = 0; v < kHalf; ++v) {
      keys[v] = Kv::load(keys0 + v * V::kLanes);
      keys[kHalf + v] = Kv::load(keys1 + v * V::kLanes);
    }
    add_dimension<V>(q, d, keys, sums);
    keys0 += task.key_stride;
    keys1 += task.key_stride;
  }
  MLXR_UNROLL
  for (int r = 0; r < kRows; ++r) {
    MLXR_UNROLL
    for (int v = 0; v < kVectors; ++v)
      V::store(scores[r] + v * V::kLanes, sums[r][v]);
  }
}

// The same with scales: products with the codes of a span are summed, then scaled and added to the score, which waits
// in memory, so that the registers are free for the sums.
template <class V, class Kv, int kRows, int kVectors>
MLXR_ALWAYS_INLINE void score_spans(const AttentionTask& task, const float* const* q, KeyPlace first, KeyPlace second,
                                    float* const* scores) {
  using F = typename V::F32;
  constexpr int kHalf = kVectors / 2;
  const std::int64_t span = Kv::span(task.key_dim);
  const std::int64_t code_bytes = span / Kv::kHalves;
  const auto* tile0 = reinterpret_cast<const std::uint8_t*>(first.tile);
  const auto* tile1 = reinterpret_cast<const std::uint8_t*>(second.tile);
  for (std::int64_t begin = 0; begin < task.key_dim; begin += span) {
    F sums[kRows][kVectors];
    clear<V>(sums);
    const std::uint8_t* codes0 = tile0 + Kv::kScaleBytes * task.key_stride + first.position;
    const std::uint8_t* codes1 = tile1 + Kv::kScaleBytes * task.key_stride + second.position;
    for (std::int64_t i = 0; i < code_bytes; ++i) {
      MLXR_UNROLL
      for (int high = 0; high < Kv::kHalves; ++high) {
        F keys[kVectors];
        MLXR_UNROLL
        for (int v = 0; v < kHalf; ++v) {
          keys[v] = Kv::codes(codes0 + v * V::kLanes, high != 0);
          keys[kHalf + v] = Kv::codes(codes1 + v * V::kLanes, high != 0);
        }
        add_dimension<V>(q, begin + high * code_bytes + i, keys, sums);
      }
      codes0 += task.key_stride;
      codes1 += task.key_stride;
    }
    const auto* scales0 = reinterpret_cast<const std::uint16_t*>(tile0) + first.position;
    const auto* scales1 = reinterpret_cast<const std::uint16_t*>(tile1) + second.position;
    MLXR_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      const F scale = Kv::unit(V::load_f16(v < kHalf ? scales0 + v * V::kLanes : scales1 + (v - kHalf) * V::kLanes));
      MLXR_UNROLL
      for (int r = 0; r < kRows; ++r) {
        float* score = scores[r] + v * V::kLanes;
        V::store(score, V::fma(sums[r][v], scale, begin == 0 ? V::zero() : V::load(score)));
      }
    }
    tile0 += (Kv::kScaleBytes + code_bytes) * task.key_stride;
    tile1 += (Kv::kScaleBytes + code_bytes) * task.key_stride;
  }
}

// Scores of rows [row, row + kRows) for the vectors of the tile that any of them sees.
template <class V, class Kv, int kRows>
void score_rows(const AttentionTask& task, const AttentionTile<V>& tile, std::int64_t row) {
  std::int64_t begin = tile.size;
  std::int64_t end = 0;
  const float* q[kRows];
  float* scores[kRows];
  for (int r = 0; r < kRows; ++r) {
    const auto seen = VisiblePositions<V>::of(task, tile.begin, tile.size, row + r);
    if (!seen.none()) {
      begin = seen.begin < begin ? seen.begin : begin;
      end = seen.end > end ? seen.end : end;
    }
    q[r] = task.q + (row + r) * task.key_dim;
  }
  constexpr int kVectors = kVectorsFor<V, kRows>;
  constexpr int kWide = kVectors / 2 * V::kLanes;
  // Both halves of a wide step must lie in a piece, and the step in the tile.
  const bool wide = tile.piece_size % kWide == 0 && tile.size % (2 * kWide) == 0;
  const int half = wide ? kWide : V::kLanes;
  for (std::int64_t p = begin - begin % (2 * half); p < end; p += 2 * half) {
    const std::int64_t next = p + half < tile.size ? p + half : p;
    const KeyPlace first{tile.keys[p / tile.piece_size], tile.offset + p % tile.piece_size};
    const KeyPlace second{tile.keys[next / tile.piece_size], tile.offset + next % tile.piece_size};
    for (int r = 0; r < kRows; ++r)
      scores[r] = task.scores + (row + r) * kAttentionTile + p;
    if constexpr (Kv::kScaled) {
      if (wide) {
        score_spans<V, Kv, kRows, kVectors>(task, q, first, second, scores);
      } else {
        score_spans<V, Kv, kRows, 2>(task, q, first, second, scores);
      }
    } else if (wide) {
      score_vectors<V, Kv, kRows, kVectors>(task, q, first, second, scores);
    } else {
      score_vectors<V, Kv, kRows, 2>(task, q, first, second, scores);
    }
  }
}

template <class V>
MLXR_ALWAYS_INLINE float exp2_one(float x) {
  float result;
  V::store_first(&result, simd_exp2<V>(V::set(x)), 1);
  return result;
}

// Masks a row's scores of a tile, and where a cap (or a negative scale, which turns the order round) asks for it,
// brings them to their final size. Returns the largest.
template <class V>
MLXR_ALWAYS_INLINE float mask_scores(const AttentionTask& task, const VisiblePositions<V>& seen, bool final_size,
                                     float* scores) {
  using F = typename V::F32;
  const F lowest = V::set(-__builtin_inff());
  const F scale = V::set(task.scale);
  const F cap = V::set(task.softcap);
  F top = lowest;
  for (std::int64_t p = seen.begin - seen.begin % V::kLanes; p < seen.end; p += V::kLanes) {
    F x = V::load(scores + p);
    const bool partial = p < seen.begin || p + V::kLanes > seen.end;
    if (final_size) {
      x = V::mul(x, scale);
      if (task.softcap > 0) x = V::mul(cap, simd_tanh<V>(V::div(x, cap)));
    }
    if (partial) {
      x = V::keep_lanes(x, static_cast<int>(seen.begin - p), static_cast<int>(seen.end - p), lowest);
    }
    if (partial || final_size) V::store(scores + p, x);
    top = V::max(top, x);
  }
  return V::reduce_max(top);
}

// Turns a row's scores of a tile into e^(score - maximum), and brings the row's maximum, sum and acc up to date. The
// exponentials are powers of two of score * log2(e), scale included, and the maximum is kept in that unit.
template <class V>
void weigh_row(const AttentionTask& task, const VisiblePositions<V>& seen, float* scores, float* maximum, float* sum,
               float* acc) {
  using F = typename V::F32;
  constexpr float kLog2E = 1.44269504F;
  const bool final_size = task.softcap > 0 || task.scale <= 0;
  const float unit = final_size ? kLog2E : task.scale * kLog2E;
  const float tile_top = mask_scores(task, seen, final_size, scores) * unit;
  const float old = *maximum;
  const float highest = tile_top > old ? tile_top : old;
  const F factor = V::set(unit);
  const F base = V::set(-highest);
  F lanes = V::zero();
  for (std::int64_t p = seen.begin - seen.begin % V::kLanes; p < seen.end; p += V::kLanes) {
    const F weight = simd_exp2<V>(V::fma(V::load(scores + p), factor, base));
    V::store(scores + p, weight);
    lanes = V::add(lanes, weight);
  }
  const float tile_sum = V::reduce_add(lanes);
  if (highest > old) {
    const float shrink = exp2_one<V>(old - highest);
    const F shrinks = V::set(shrink);
    for (std::int64_t i = 0; i < task.acc_stride; i += V::kLanes)
      V::store(acc + i, V::mul(V::load(acc + i), shrinks));
    *sum *= shrink;
    *maximum = highest;
  }
  *sum += tile_sum;
}

// Adds the positions [begin, end) of a tile to kVectors vectors of dimensions, from `dim`, of kRows rows of acc.
template <class V, class Kv, int kRows, int kVectors>
MLXR_ALWAYS_INLINE void accumulate_vectors(const AttentionTask& task, const AttentionTile<V>& tile,
                                           const float* const* weights, std::int64_t dim, std::int64_t begin,
                                           std::int64_t end, float* const* acc) {
  using F = typename V::F32;
  using Values = std::conditional_t<Kv::kScaled, ScaledValues<V, Kv, kVectors>, PlainValues<V, Kv, kVectors>>;
  const Values values(task, dim);
  F sums[kRows][kVectors];
  MLXR_UNROLL
  for (int r = 0; r < kRows; ++r) {
    MLXR_UNROLL
    for (int v = 0; v < kVectors; ++v)
      sums[r][v] = V::load(acc[r] + dim + v * V::kLanes);
  }
  for (std::int64_t p = begin; p < end;) {
    const std::int64_t piece = p / tile.piece_size;
    const std::int64_t piece_end = (piece + 1) * tile.piece_size;
    const std::int64_t stop = end < piece_end ? end : piece_end;
    const auto* row = values.row(tile.values[piece], tile.offset + p - piece * tile.piece_size);
    for (; p < stop; ++p) {
      F value[kVectors];
      values.load(row, value);
      MLXR_UNROLL
      for (int r = 0; r < kRows; ++r) {
        const F weight = V::set(weights[r][p]);
        MLXR_UNROLL
        for (int v = 0; v < kVectors; ++v)
          sums[r][v] = V::fma(weight, value[v], sums[r][v]);
      }
      row = values.next(row);
    }
  }
  MLXR_UNROLL
  for (int r = 0; r < kRows; ++r) {
    MLXR_UNROLL
    for (int v = 0; v < kVectors; ++v)
      V::store(acc[r] + dim + v * V::kLanes, sums[r][v]);
  }
}

// Adds the positions [begin, end) of the tile to rows [row, row + kRows) of acc.
template <class V, class Kv, int kRows>
void accumulate_positions(const AttentionTask& task, const AttentionTile<V>& tile, float* acc_rows, std::int64_t row,
                          std::int64_t begin, std::int64_t end) {
  constexpr int kVectors = kVectorsFor<V, kRows>;
  if (begin >= end) return;
  float* acc[kRows];
  const float* weights[kRows];
  for (int r = 0; r < kRows; ++r) {
    acc[r] = acc_rows + (row + r) * task.acc_stride;
    weights[r] = task.scores + (row + r) * kAttentionTile;
  }
  std::int64_t i = 0;
  for (; i + kVectors * V::kLanes <= task.value_dim; i += kVectors * V::kLanes)
    accumulate_vectors<V, Kv, kRows, kVectors>(task, tile, weights, i, begin, end, acc);
  // The last vector may run past value_dim, into slack of both arrays.
  for (; i < task.value_dim; i += V::kLanes)
    accumulate_vectors<V, Kv, kRows, 1>(task, tile, weights, i, begin, end, acc);
}

// Adds to each of the rows [row, row + kRows) the positions that it sees: those that all see together.
template <class V, class Kv, int kRows>
void accumulate_rows(const AttentionTask& task, const AttentionTile<V>& tile, float* acc, std::int64_t row) {
  VisiblePositions<V> all{0, tile.size};
  for (int r = 0; r < kRows; ++r) {
    const auto seen = VisiblePositions<V>::of(task, tile.begin, tile.size, row + r);
    all.begin = seen.begin > all.begin ? seen.begin : all.begin;
    all.end = seen.end < all.end ? seen.end : all.end;
  }
  for (int r = 0; r < kRows && kRows > 1; ++r) {
    const auto seen = VisiblePositions<V>::of(task, tile.begin, tile.size, row + r);
    const std::int64_t stop = !all.none() && all.begin < seen.end ? all.begin : seen.end;
    accumulate_positions<V, Kv, 1>(task, tile, acc, row + r, seen.begin, stop);
  }
  accumulate_positions<V, Kv, kRows>(task, tile, acc, row, all.begin, all.end);
  for (int r = 0; r < kRows && kRows > 1 && !all.none(); ++r) {
    const auto seen = VisiblePositions<V>::of(task, tile.begin, tile.size, row + r);
    accumulate_positions<V, Kv, 1>(task, tile, acc, row + r, all.end, seen.end);
  }
}

template <class V, class Kv>
void attend_tile(const AttentionTask& task, const AttentionTile<V>& tile, const AttentionState& state) {
  const std::int64_t rows = task.num_tokens * task.group;
  std::int64_t row = 0;
  for (; row + 6 <= rows; row += 6)
    score_rows<V, Kv, 6>(task, tile, row);
  for (; row + 4 <= rows; row += 4)
    score_rows<V, Kv, 4>(task, tile, row);
  for (; row + 2 <= rows; row += 2)
    score_rows<V, Kv, 2>(task, tile, row);
  for (; row < rows; ++row)
    score_rows<V, Kv, 1>(task, tile, row);

  for (row = 0; row < rows; ++row) {
    const auto seen = VisiblePositions<V>::of(task, tile.begin, tile.size, row);
    if (seen.none()) continue;
    weigh_row<V>(task, seen, task.scores + row * kAttentionTile, state.maxima + row, state.sums + row,
                 state.acc + row * task.acc_stride);
  }

  row = 0;
  for (; row + 6 <= rows; row += 6)
    accumulate_rows<V, Kv, 6>(task, tile, state.acc, row);
  for (; row + 4 <= rows; row += 4)
    accumulate_rows<V, Kv, 4>(task, tile, state.acc, row);
  for (; row + 2 <= rows; row += 2)
    accumulate_rows<V, Kv, 2>(task, tile, state.acc, row);
  for (; row < rows; ++row)
    accumulate_rows<V, Kv, 1>(task, tile, state.acc, row);
}

template <class V, class Kv>
void attend_tiles(const AttentionTask& task, const AttentionState& state) {
  const std::int64_t oldest = task.window > 0 ? task.first_position - task.window + 1 : 0;
  const std::int64_t begin = oldest > task.range_begin ? oldest : task.range_begin;
  const std::int64_t last = task.first_position + task.num_tokens;
  const std::int64_t end = last < task.range_end ? last : task.range_end;
  for (std::int64_t position = begin; position < end;) {
    const auto tile = find_tile<V>(task, position, end);
    attend_tile<V, Kv>(task, tile, state);
    position = tile.begin + tile.size;
  }
}

template <class V>
void attend_range(const AttentionTask& task, const AttentionState& state) {
  const std::int64_t rows = task.num_tokens * task.group;
  for (std::int64_t r = 0; r < rows; ++r) {
    state.maxima[r] = -__builtin_inff();
    state.sums[r] = 0.0F;
  }
  for (std::int64_t i = 0; i < rows * task.acc_stride; i += V::kLanes)
    V::store(state.acc + i, V::zero());
  if (task.type == KvType::kF32) attend_tiles<V, PlainKv<V, KvType::kF32>>(task, state);
  if (task.type == KvType::kF16) attend_tiles<V, PlainKv<V, KvType::kF16>>(task, state);
  if (task.type == KvType::kBF16) attend_tiles<V, PlainKv<V, KvType::kBF16>>(task, state);
  if (task.type == KvType::kQ8_0) attend_tiles<V, ScaledKv<V, KvType::kQ8_0>>(task, state);
  if (task.type == KvType::kQ4_0) attend_tiles<V, ScaledKv<V, KvType::kQ4_0>>(task, state);
  if (task.type == KvType::kFP8_E4M3) attend_tiles<V, ScaledKv<V, KvType::kFP8_E4M3>>(task, state);
}

template <class V>
void merge_attention(std::int64_t rows, std::int64_t acc_stride, const AttentionState& part,
                     const AttentionState& total) {
  using F = typename V::F32;
  const float none = -__builtin_inff();
  for (std::int64_t r = 0; r < rows; ++r) {
    const float part_max = part.maxima[r];
    const float total_max = total.maxima[r];
    if (part_max == none) continue;
    const float highest = part_max > total_max ? part_max : total_max;
    const float keep = total_max == none ? 0.0F : exp2_one<V>(total_max - highest);
    const float take = exp2_one<V>(part_max - highest);
    const float* from = part.acc + r * acc_stride;
    float* to = total.acc + r * acc_stride;
    for (std::int64_t i = 0; i < acc_stride; i += V::kLanes) {
      const F taken = V::mul(V::load(from + i), V::set(take));
      V::store(to + i, total_max == none ? taken : V::fma(V::load(to + i), V::set(keep), taken));
    }
    total.sums[r] = total_max == none ? part.sums[r] : total.sums[r] * keep + part.sums[r] * take;
    total.maxima[r] = highest;
  }
}

template <class V>
void finish_attention(const float* acc, float sum, std::int64_t n, float* out) {
  const typename V::F32 inverse = V::set(1.0F / sum);
  std::int64_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes)
    V::store(out + i, V::mul(V::load(acc + i), inverse));
  if (i < n) V::store_first(out + i, V::mul(V::load(acc + i), inverse), static_cast<int>(n - i));
}

}  // namespace mlxr

#endif  // MLXR_CORE_KERNELS_CPU_ATTENTION_KERNEL_INL_H_
