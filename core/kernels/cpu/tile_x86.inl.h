// A chunk of rows decoded to 8 bits and laid out for products with many tokens: the four bytes of elements 4s .. 4s+3
// of kTileRows rows side by side, so that one broadcast of four activations meets as many rows as a register has 32-bit
// lanes, and a lane's sum belongs to one row. Included after groups_x86.inl.h, with kTileRows (a multiple of 8) said.

inline constexpr std::int64_t kChunkBlocks = kChunkElements / 32;

struct alignas(64) Tile {
  std::uint8_t quants[kChunkElements / 4][kTileRows][4];
  float scale[kChunkBlocks][kTileRows];
  float min[kChunkBlocks][kTileRows];
  std::int32_t half[kChunkBlocks][kTileRows];          // both 16-bit scales of a block
  std::int32_t half_each[kChunkBlocks][2][kTileRows];  // one of them: twice in 16 bits or, with VNNI, as f32
  std::int32_t half_min[kChunkBlocks][kTileRows];      // as `half`
};
static_assert(sizeof(Tile) <= sizeof(TileScratch));

// What the products with a tile depend on: fewer than there are formats, so that they share the code.
template <QuantRange kTheRange, int kTheZeroLog2, int kTheMaxQuant, bool kTheMin, bool kTheHalfMins>
struct TileKind {
  static constexpr QuantRange kRange = kTheRange;
  static constexpr int kZeroLog2 = kTheZeroLog2;
  static constexpr int kMaxQuant = kTheMaxQuant;
  static constexpr bool kHasMin = kTheMin;
  static constexpr bool kHalfMins = kTheHalfMins;
};
template <class G>
using TileKindOf = TileKind<G::kRange, G::kZeroLog2, G::kMaxQuant, G::kHasMin, G::kHalfMins>;

// A group of a row that is not there: any quants of scale zero, in every format (next to zero in MXFP4; nobody reads
// the results).
alignas(64) inline constexpr std::uint8_t kZeroGroup[PortableGroup<QuantType::kQ8_0>::kBytes] = {};

inline void store_words(std::int32_t* to, __m256i words) {
  _mm256_store_si256(reinterpret_cast<__m256i*>(to), words);
}

// Eight rows of 32-bit words, word w of row r at from[r][w], to words[w][first_row + r].
inline void store_transposed(__m256i (&rows)[8], void* words, std::int64_t first_row) {
  transpose8(rows);
  auto* to = static_cast<std::uint8_t*>(words) + 4 * first_row;
  MLXR_UNROLL
  for (int w = 0; w < 8; ++w)
    _mm256_store_si256(reinterpret_cast<__m256i*>(to + 4 * w * kTileRows), rows[w]);
}

// Group `g` of the tile (0 .. 3) for rows first_row .. first_row + 7, whose bytes are at groups[0 .. 7].
template <class G>
inline void fill_group(const std::uint8_t* const (&groups)[8], std::int64_t g, std::int64_t first_row, Tile& tile) {
  alignas(64) __m256i quants[8][8];  // [row][block]
  __m256i scale[8];
  __m256i min[8];
  __m256i half[8];
  __m256i half_min[8];
  for (int r = 0; r < 8; ++r) {
    const Quants q = G::unpack(groups[r]);
    const Scales s = G::scales(groups[r]);
    MLXR_UNROLL
    for (int b = 0; b < 8; ++b)
      quants[r][b] = q.v[b];
    scale[r] = _mm256_castps_si256(s.scale);
    min[r] = _mm256_castps_si256(s.min);
    half[r] = s.half;
    half_min[r] = s.half_min;
  }
  for (int b = 0; b < 8; ++b) {
    __m256i rows[8];
    MLXR_UNROLL
    for (int r = 0; r < 8; ++r)
      rows[r] = quants[r][b];
    store_transposed(rows, tile.quants[8 * (8 * g + b)], first_row);
  }
  store_transposed(scale, tile.scale[8 * g], first_row);
  if constexpr (G::kHalfMins) store_transposed(half_min, tile.half_min[8 * g], first_row);
  if constexpr (G::kHasMin || G::kHalfMins) store_transposed(min, tile.min[8 * g], first_row);
  if constexpr (G::kRange == QuantRange::kHalves) {
    store_transposed(half, tile.half[8 * g], first_row);
    MLXR_UNROLL
    for (int b = 0; b < 8; ++b) {  // `half` is by block now
      const __m256i first = _mm256_slli_epi32(half[b], 16);
      const __m256i second = half[b];
      auto* each = tile.half_each[8 * g + b];
      if constexpr (kVnni) {
        store_words(each[0] + first_row, _mm256_castps_si256(_mm256_cvtepi32_ps(_mm256_srai_epi32(first, 16))));
        store_words(each[1] + first_row, _mm256_castps_si256(_mm256_cvtepi32_ps(_mm256_srai_epi32(second, 16))));
      } else {
        store_words(each[0] + first_row, _mm256_blend_epi16(second, first, 0xaa));
        store_words(each[1] + first_row, _mm256_blend_epi16(_mm256_srli_epi32(second, 16), second, 0xaa));
      }
    }
  }
}

// The bytes that the next call of fill_tile for this row of the tile will read: the chunk after this one, or the first
// one of the next tile. Rows lie too far apart for the hardware to foresee this. Addresses past the end do no harm.
template <class G>
inline void prefetch_next(const WeightRows& rows, std::int64_t row, std::int64_t next_group) {
  const bool same_tile = next_group * kGroupElements < rows.elements;
  const std::int64_t next_row = same_tile ? row : row + kTileRows;
  const std::int64_t group = same_tile ? next_group : 0;
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(rows.data) +
                      static_cast<std::size_t>(next_row) * rows.row_bytes + static_cast<std::size_t>(group) * G::kBytes;
  for (std::size_t i = 0; i < G::kBytes * static_cast<std::size_t>(kChunkGroups); i += 64)
    _mm_prefetch(reinterpret_cast<const char*>(bytes + i), _MM_HINT_T1);
}

// Groups [first_group, first_group + count) of kTileRows rows from `first_row` on; rows past the last are zero.
template <class G>
inline void fill_tile(const WeightRows& rows, std::int64_t first_row, std::int64_t first_group, std::int64_t count,
                      Tile& tile) {
  const std::int64_t whole_groups = rows.elements / kGroupElements;
  alignas(64) std::uint8_t last[8][G::kBytes];
  for (std::int64_t g = 0; g < count; ++g) {
    const std::int64_t group = first_group + g;
    for (std::int64_t r8 = 0; r8 < kTileRows; r8 += 8) {
      const std::uint8_t* groups[8];
      for (std::int64_t r = 0; r < 8; ++r) {
        const std::int64_t row = first_row + r8 + r;
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
      fill_group<G>(groups, g, r8, tile);
    }
  }
  for (std::int64_t r = 0; r < kTileRows; ++r)
    prefetch_next<G>(rows, first_row + r, first_group + kChunkGroups);
}
