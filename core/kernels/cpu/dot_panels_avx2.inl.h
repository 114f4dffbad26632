// Products of many tokens for AVX2: lanes are tokens (activation_panel.h), rows are broadcast. Included after
// groups_x86.inl.h, with prefetch() said.
//
// Layout: rows are unpacked to bytes, a chunk at a time, where they are about to be used; four rows meet sixteen tokens
// (or eight rows eight) in registers. Quants of 8 bits are two rows of four bits.
//
// Sums stay in 16 bits for a whole block of 32, or for half a block where every 16 elements have a scale. What a zero
// point takes off is where they start: they may wrap on the way, but q = u - zero makes the result fit, since
// |q| * 127 * (elements of a lane) <= 32767 (kSteps below).
//
// Bound: vpmaddubsw and the 16-bit addition after each, of which Zen 3 was seen to do 1.6 pairs a cycle: 168 G products
// a second at 3.24 GHz. Measured on one core of an EPYC 7003, Q4_K: 107 G (64 %) in the first-level cache, 83 G (49 %)
// on weights in memory that sixteen tokens meet, 88 G with 256 tokens.

// A chunk of one row.
struct alignas(64) PanelRow {
  std::uint8_t low[kChunkElements];   // the quants, or their lower four bits
  std::uint8_t high[kChunkElements];  // their upper four
  float scale[kChunkElements / 32];
  float min[kChunkElements / 32];
  std::int32_t half[kChunkElements / 16];      // a 16-bit scale, twice
  std::int32_t half_min[kChunkElements / 16];  // likewise
};
static_assert(kMaxTileRows * sizeof(PanelRow) <= sizeof(TileScratch));

// What the products depend on: fewer than there are formats, so that they share the code.
template <QuantRange kTheRange, int kTheZeroLog2, int kTheMaxQuant, bool kTheMin, bool kTheHalfMins>
struct PanelKind {
  static constexpr QuantRange kRange = kTheRange;
  static constexpr int kZeroLog2 = kTheZeroLog2;
  static constexpr bool kHasMin = kTheMin;
  static constexpr bool kHalfMins = kTheHalfMins;
  // Steps of four elements whose products with 127 stay in 16 bits: 2 * 127 * most * kSteps <= 32767, where `most` is
  // that of |u - zero| if the sum starts at the zero point (kCentred), else of u.
  static constexpr bool kCentred = kZeroLog2 >= 0 && kZeroLog2 <= 5;
  static constexpr int kMost = kCentred ? 1 << kZeroLog2 : kTheMaxQuant;
  static constexpr int kSteps = 8 * kMost <= 129 && kRange == QuantRange::kSmall ? 8 : 4 * kMost <= 129 ? 4 : 1;
};
template <class G>
using PanelKindOf = PanelKind<G::kRange, G::kZeroLog2, G::kMaxQuant, G::kHasMin, G::kHalfMins>;

// Rows times panels that meet in registers.
inline constexpr int kSumsAtOnce = 8;

MLXR_ALWAYS_INLINE __m256i broadcast4(const std::uint8_t* p) {
  return _mm256_set1_epi32(load_bytes<std::int32_t>(p));
}
MLXR_ALWAYS_INLINE __m256i load_panel(const void* p) {
  return _mm256_load_si256(static_cast<const __m256i*>(p));
}

// sum[r][p] += products of `kCount` steps from `first` of a block on, in 16 bits.
template <int kRows, int kPanels, int kCount>
MLXR_ALWAYS_INLINE void add_steps(const std::uint8_t* row, const ActivationPanel* const (&x)[kPanels], int first,
                                  __m256i (&sum)[kRows][kPanels]) {
  MLXR_UNROLL
  for (int s = 0; s < kCount; ++s) {
    __m256i a[kPanels];
    MLXR_UNROLL
    for (int p = 0; p < kPanels; ++p)
      a[p] = load_panel(x[p]->q[first + s]);
    MLXR_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const __m256i w = broadcast4(row + static_cast<std::size_t>(r) * sizeof(PanelRow) + 4 * s);
      MLXR_UNROLL
      for (int p = 0; p < kPanels; ++p) {
        sum[r][p] = _mm256_add_epi16(sum[r][p], _mm256_maddubs_epi16(w, a[p]));
        MLXR_SETTLE(sum[r][p]);
      }
    }
  }
}

// Sets every sum[r][p] to -(2^kLog2) times the activations that its lanes add up: of half blocks [first, first +
// kHalves).
template <int kLog2, int kHalves, int kRows, int kPanels>
MLXR_ALWAYS_INLINE void start_at_zero_point(const ActivationPanel* const (&x)[kPanels], int first,
                                            __m256i (&sum)[kRows][kPanels]) {
  MLXR_UNROLL
  for (int p = 0; p < kPanels; ++p) {
    __m256i start = _mm256_setzero_si256();
    if constexpr (kLog2 >= 0) {
      __m256i of = load_panel(x[p]->sum[first]);
      if constexpr (kHalves == 2) of = _mm256_add_epi16(of, load_panel(x[p]->sum[first + 1]));
      start = _mm256_sub_epi16(start, _mm256_slli_epi16(of, kLog2));
    }
    MLXR_UNROLL
    for (int r = 0; r < kRows; ++r)
      sum[r][p] = start;
  }
}

// The integer sums of a block, zero point taken off.
template <class K, int kRows, int kPanels>
MLXR_ALWAYS_INLINE void panel_sums(const PanelRow* rows, std::int64_t block, int b,
                                   const ActivationPanel* const (&x)[kPanels], __m256i (&sum)[kRows][kPanels]) {
  const std::uint8_t* low = rows->low + 32 * block;
  __m256i part[kRows][kPanels];
  if constexpr (K::kRange == QuantRange::kSigned) {  // 16 (high - 8) + low
    start_at_zero_point<3, 2>(x, 2 * b, part);
    add_steps<kRows, kPanels, 8>(rows->high + 32 * block, x, 8 * b, part);
    MLXR_UNROLL
    for (int r = 0; r < kRows; ++r) {
      MLXR_UNROLL
      for (int p = 0; p < kPanels; ++p)
        sum[r][p] = _mm256_madd_epi16(part[r][p], _mm256_set1_epi16(16));
    }
    start_at_zero_point<-1, 2>(x, 2 * b, part);
    add_steps<kRows, kPanels, 8>(low, x, 8 * b, part);
    MLXR_UNROLL
    for (int r = 0; r < kRows; ++r) {
      MLXR_UNROLL
      for (int p = 0; p < kPanels; ++p)
        sum[r][p] = _mm256_add_epi32(sum[r][p], _mm256_madd_epi16(part[r][p], _mm256_set1_epi16(1)));
    }
  } else {
    MLXR_UNROLL
    for (int first = 0; first < 8; first += K::kSteps) {
      start_at_zero_point<K::kCentred ? K::kZeroLog2 : -1, K::kSteps / 4>(x, 2 * b + first / 4, part);
      add_steps<kRows, kPanels, K::kSteps>(low + 4 * first, x, 8 * b + first, part);
      MLXR_UNROLL
      for (int r = 0; r < kRows; ++r) {
        __m256i factor = _mm256_set1_epi16(1);
        if constexpr (K::kRange == QuantRange::kHalves) factor = _mm256_set1_epi32(rows[r].half[2 * block + first / 4]);
        MLXR_UNROLL
        for (int p = 0; p < kPanels; ++p) {
          const __m256i wide = _mm256_madd_epi16(part[r][p], factor);
          sum[r][p] = first == 0 ? wide : _mm256_add_epi32(sum[r][p], wide);
          MLXR_SETTLE(sum[r][p]);
        }
      }
    }
    if constexpr (K::kRange == QuantRange::kHalves && K::kZeroLog2 >= 0 && !K::kCentred) {
      MLXR_UNROLL
      for (int r = 0; r < kRows; ++r) {
        const __m256i first = _mm256_set1_epi32(rows[r].half[2 * block]);
        const __m256i second = _mm256_set1_epi32(rows[r].half[2 * block + 1]);
        MLXR_UNROLL
        for (int p = 0; p < kPanels; ++p) {
          const __m256i zero = _mm256_add_epi32(_mm256_madd_epi16(first, load_panel(x[p]->sum[2 * b])),
                                                _mm256_madd_epi16(second, load_panel(x[p]->sum[2 * b + 1])));
          sum[r][p] = _mm256_sub_epi32(sum[r][p], _mm256_slli_epi32(zero, K::kZeroLog2));
        }
      }
    }
  }
}

// Four rows of eight tokens each, row r's at v[r], to out.data[token][0 .. 3] of the tokens there are.
template <bool kFirst>
MLXR_ALWAYS_INLINE void add_four_rows(const __m256 (&v)[4], std::int64_t tokens, DotOutput out) {
  const __m256 a0 = _mm256_unpacklo_ps(v[0], v[1]);
  const __m256 a1 = _mm256_unpackhi_ps(v[0], v[1]);
  const __m256 a2 = _mm256_unpacklo_ps(v[2], v[3]);
  const __m256 a3 = _mm256_unpackhi_ps(v[2], v[3]);
  const __m256 pair[4] = {
      _mm256_castpd_ps(_mm256_unpacklo_pd(_mm256_castps_pd(a0), _mm256_castps_pd(a2))),  // tokens 0 and 4
      _mm256_castpd_ps(_mm256_unpackhi_pd(_mm256_castps_pd(a0), _mm256_castps_pd(a2))),
      _mm256_castpd_ps(_mm256_unpacklo_pd(_mm256_castps_pd(a1), _mm256_castps_pd(a3))),
      _mm256_castpd_ps(_mm256_unpackhi_pd(_mm256_castps_pd(a1), _mm256_castps_pd(a3)))};
  MLXR_UNROLL
  for (int t = 0; t < 8; ++t) {
    if (t >= tokens) return;
    const __m128 sum = t < 4 ? _mm256_castps256_ps128(pair[t % 4]) : _mm256_extractf128_ps(pair[t % 4], 1);
    float* to = out.data + t * out.stride;
    _mm_storeu_ps(to, _mm_add_ps(kFirst ? _mm_setzero_ps() : _mm_loadu_ps(to), sum));
  }
}

// `total` less what the minimum of a block takes off.
template <class K>
MLXR_ALWAYS_INLINE __m256 take_minimum(const PanelRow& row, std::int64_t block, const ActivationPanel& x, int b,
                                       __m256 total) {
  if constexpr (K::kHasMin)
    total = _mm256_fnmadd_ps(_mm256_broadcast_ss(&row.min[block]), _mm256_load_ps(x.scaled_sum[b]), total);
  if constexpr (K::kHalfMins) {
    const __m256i sums = _mm256_add_epi32(
        _mm256_madd_epi16(_mm256_set1_epi32(row.half_min[2 * block]), load_panel(x.sum[2 * b])),
        _mm256_madd_epi16(_mm256_set1_epi32(row.half_min[2 * block + 1]), load_panel(x.sum[2 * b + 1])));
    const __m256 min = _mm256_mul_ps(_mm256_broadcast_ss(&row.min[block]), _mm256_load_ps(x.scale[b]));
    total = _mm256_fnmadd_ps(min, _mm256_cvtepi32_ps(sums), total);
  }
  return total;
}

// acc[b][r][p] += products of a group; the first group of a chunk adds to zero.
template <class K, bool kFirst, int kRows, int kPanels>
MLXR_ALWAYS_INLINE void dot_group(const PanelRow* rows, std::int64_t g, const ActivationPanel* const (&x)[kPanels],
                                  NextRows& next, __m256 (&acc)[8][kRows][kPanels]) {
  for (int b = 0; b < 8; ++b) {
    next.fetch();
    const std::int64_t block = 8 * g + b;
    __m256i sum[kRows][kPanels];
    panel_sums<K>(rows, block, b, x, sum);
    // Step by step over all sums: what one waits for, the others fill.
    __m256 total[kRows][kPanels];
    MLXR_UNROLL
    for (int r = 0; r < kRows; ++r) {
      MLXR_UNROLL
      for (int p = 0; p < kPanels; ++p) {
        total[r][p] = _mm256_cvtepi32_ps(sum[r][p]);
        MLXR_SETTLE(total[r][p]);
      }
    }
    MLXR_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const __m256 scale = _mm256_broadcast_ss(&rows[r].scale[block]);
      MLXR_UNROLL
      for (int p = 0; p < kPanels; ++p) {
        total[r][p] = _mm256_fmadd_ps(total[r][p], _mm256_mul_ps(scale, _mm256_load_ps(x[p]->scale[b])),
                                      kFirst ? _mm256_setzero_ps() : acc[b][r][p]);
        MLXR_SETTLE(total[r][p]);
      }
    }
    MLXR_UNROLL
    for (int r = 0; r < kRows; ++r) {
      MLXR_UNROLL
      for (int p = 0; p < kPanels; ++p)
        acc[b][r][p] = take_minimum<K>(rows[r], block, *x[p], b, total[r][p]);
    }
  }
}

// out[t][0 .. kRows - 1] += products of `tokens` tokens with kRows rows over `num_chunk_groups` groups; the first chunk
// adds to zero. x[p * groups_per_row + g] is group g of panel p.
template <class K, int kRows, int kPanels>
void dot_panels(const PanelRow* rows, std::int64_t num_chunk_groups, const ActivationPanel* x,
                std::int64_t groups_per_row, std::int64_t tokens, bool first, NextRows& next, DotOutput out) {
  __m256 acc[8][kRows][kPanels];
  const ActivationPanel* panels[kPanels];
  MLXR_UNROLL
  for (int p = 0; p < kPanels; ++p)
    panels[p] = x + p * groups_per_row;
  dot_group<K, true>(rows, 0, panels, next, acc);
  for (std::int64_t g = 1; g < num_chunk_groups; ++g) {
    MLXR_UNROLL
    for (int p = 0; p < kPanels; ++p)
      ++panels[p];
    dot_group<K, false>(rows, g, panels, next, acc);
  }
  MLXR_UNROLL
  for (int p = 0; p < kPanels; ++p) {
    MLXR_UNROLL
    for (int r4 = 0; r4 < kRows; r4 += 4) {
      __m256 total[4];
      MLXR_UNROLL
      for (int r = 0; r < 4; ++r) {
        const __m256 s0 = _mm256_add_ps(acc[0][r4 + r][p], acc[4][r4 + r][p]);
        const __m256 s1 = _mm256_add_ps(acc[1][r4 + r][p], acc[5][r4 + r][p]);
        const __m256 s2 = _mm256_add_ps(acc[2][r4 + r][p], acc[6][r4 + r][p]);
        const __m256 s3 = _mm256_add_ps(acc[3][r4 + r][p], acc[7][r4 + r][p]);
        total[r] = _mm256_add_ps(_mm256_add_ps(s0, s2), _mm256_add_ps(s1, s3));
      }
      const DotOutput to = {out.data + p * kPanelTokens * out.stride + r4, out.stride};
      if (first) {
        add_four_rows<true>(total, tokens - p * kPanelTokens, to);
      } else {
        add_four_rows<false>(total, tokens - p * kPanelTokens, to);
      }
    }
  }
}

// A pair of 16-bit scales for each of the sixteen, in order.
inline void store_halves(__m256i half, std::int32_t* to) {
  const __m256i low = _mm256_unpacklo_epi16(half, half);   // 0 .. 3, 8 .. 11
  const __m256i high = _mm256_unpackhi_epi16(half, half);  // 4 .. 7, 12 .. 15
  _mm256_store_si256(reinterpret_cast<__m256i*>(to), _mm256_permute2x128_si256(low, high, 0x20));
  _mm256_store_si256(reinterpret_cast<__m256i*>(to + 8), _mm256_permute2x128_si256(low, high, 0x31));
}

// Groups [first_group, first_group + count) of row `index`, and a prefetch for the row `ahead` rows further on.
template <class G>
inline void unpack_row(const WeightRows& rows, std::int64_t index, std::int64_t ahead, std::int64_t first_group,
                       std::int64_t count, PanelRow& row) {
  const auto* bytes =
      reinterpret_cast<const std::uint8_t*>(rows.data) + static_cast<std::size_t>(index) * rows.row_bytes;
  const std::size_t distance = static_cast<std::size_t>(ahead) * rows.row_bytes;
  alignas(64) std::uint8_t last[G::kBytes];
  const std::int64_t whole_groups = rows.elements / kGroupElements;
  const __m256i low4 = _mm256_set1_epi8(15);
  for (std::int64_t g = 0; g < count; ++g) {
    const std::uint8_t* from = bytes + static_cast<std::size_t>(first_group + g) * G::kBytes;
    for (std::size_t line = 0; line < G::kBytes; line += 64)
      prefetch(from + distance + line);
    if (first_group + g >= whole_groups) {  // blocks that the row does not have are zero
      const auto left = static_cast<std::size_t>((rows.elements - whole_groups * kGroupElements) / G::kBlockElements);
      std::memset(last, 0, sizeof(last));
      std::memcpy(last, from, left * G::kBlockBytes);
      from = last;
    }
    const Quants q = G::unpack(from);
    const Scales s = G::scales(from);
    MLXR_UNROLL
    for (int b = 0; b < 8; ++b) {
      __m256i low = q.v[b];
      if constexpr (G::kRange == QuantRange::kSigned) {
        const __m256i u = _mm256_xor_si256(low, _mm256_set1_epi8(-128));
        low = _mm256_and_si256(u, low4);
        _mm256_store_si256(reinterpret_cast<__m256i*>(row.high + 256 * g + 32 * b),
                           _mm256_and_si256(_mm256_srli_epi16(u, 4), low4));
      }
      _mm256_store_si256(reinterpret_cast<__m256i*>(row.low + 256 * g + 32 * b), low);
    }
    _mm256_store_ps(row.scale + 8 * g, s.scale);
    if constexpr (G::kHasMin || G::kHalfMins) _mm256_store_ps(row.min + 8 * g, s.min);
    if constexpr (G::kRange == QuantRange::kHalves) store_halves(s.half, row.half + 16 * g);
    if constexpr (G::kHalfMins) store_halves(s.half_min, row.half_min + 16 * g);
  }
}

// Whether the rows of a chunk still have to be unpacked, and whether nobody needs them afterwards.
enum class Unpack { kDone, kKeep, kUseOnce };

// kPanels panels of tokens with all rows of a chunk.
template <class G, int kPanels>
inline void dot_chunk(const WeightRows& rows, std::int64_t group, std::int64_t count, PanelRow* unpacked, Unpack unpack,
                      const ActivationPanel* x, std::int64_t tokens, NextRows& next, DotOutput out) {
  constexpr int kRows = kSumsAtOnce / kPanels;
  const std::int64_t groups_per_row = num_groups(rows.elements);
  for (std::int64_t row = 0; row < rows.num_rows; row += kRows) {
    PanelRow* here = unpack == Unpack::kUseOnce ? unpacked : unpacked + row;
    for (std::int64_t r = 0; r < kRows && unpack != Unpack::kDone; ++r) {
      const std::int64_t from = row + r < rows.num_rows ? row + r : rows.num_rows - 1;  // nobody reads past the last
      unpack_row<G>(rows, from, kRows, group, count, here[r]);
    }
    dot_panels<PanelKindOf<G>, kRows, kPanels>(here, count, x + group, groups_per_row, tokens, group == 0, next,
                                               {out.data + row, out.stride});
  }
}

template <QuantType kType>
void dot_many(const WeightRows& rows, const ActivationGroup* x, std::int64_t tokens, TileScratch& scratch,
              DotOutput out) {
  using G = Group<kType>;
  auto* unpacked = reinterpret_cast<PanelRow*>(scratch.bytes);
  const auto* panels = reinterpret_cast<const ActivationPanel*>(x);
  const std::int64_t groups_per_row = num_groups(rows.elements);
  // Blocks of all chunks for the first sixteen tokens.
  NextRows next = NextRows::of(rows, kMaxTileRows / (tokens > kPanelTokens ? 4 : 8) * 8 * groups_per_row);
  for (std::int64_t group = 0; group < groups_per_row; group += kChunkGroups) {
    const std::int64_t left = groups_per_row - group;
    const std::int64_t count = left < kChunkGroups ? left : kChunkGroups;
    Unpack unpack = tokens > 2 * kPanelTokens ? Unpack::kKeep : Unpack::kUseOnce;
    for (std::int64_t t = 0; t < tokens;) {
      const ActivationPanel* of = panels + t / kPanelTokens * groups_per_row;
      const DotOutput to = {out.data + t * out.stride, out.stride};
      if (tokens - t > kPanelTokens) {
        dot_chunk<G, 2>(rows, group, count, unpacked, unpack, of, tokens - t, next, to);
        t += 2 * kPanelTokens;
      } else {
        dot_chunk<G, 1>(rows, group, count, unpacked, unpack, of, tokens - t, next, to);
        t += kPanelTokens;
      }
      unpack = Unpack::kDone;
    }
  }
}
