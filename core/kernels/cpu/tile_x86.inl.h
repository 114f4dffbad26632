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

// 16 bytes at `offset` of eight rows as 32-bit words: words[w] holds word w of each row. The rows' halves are brought
// together by the loads, which leaves two steps of shuffles.
inline void load_words(const std::uint8_t* const (&groups)[8], std::size_t offset, __m256i (&words)[4]) {
  __m256i rows[4];
  MLXR_UNROLL
  for (int r = 0; r < 4; ++r) {
    const __m128i low = _mm_loadu_si128(reinterpret_cast<const __m128i*>(groups[r] + offset));
    const __m128i high = _mm_loadu_si128(reinterpret_cast<const __m128i*>(groups[r + 4] + offset));
    rows[r] = _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
  }
  const __m256i a0 = _mm256_unpacklo_epi32(rows[0], rows[1]);
  const __m256i a1 = _mm256_unpackhi_epi32(rows[0], rows[1]);
  const __m256i a2 = _mm256_unpacklo_epi32(rows[2], rows[3]);
  const __m256i a3 = _mm256_unpackhi_epi32(rows[2], rows[3]);
  words[0] = _mm256_unpacklo_epi64(a0, a2);
  words[1] = _mm256_unpackhi_epi64(a0, a2);
  words[2] = _mm256_unpacklo_epi64(a1, a3);
  words[3] = _mm256_unpackhi_epi64(a1, a3);
}

// Eight binary16 numbers, one a row.
inline __m256 load_halves(const std::uint8_t* const (&groups)[8], std::size_t offset) {
  alignas(16) std::int16_t halves[8];
  MLXR_UNROLL
  for (int r = 0; r < 8; ++r)
    halves[r] = load_bytes<std::int16_t>(groups[r] + offset);
  return _mm256_cvtph_ps(_mm_load_si128(reinterpret_cast<const __m128i*>(halves)));
}

// The two 16-bit scales of a block (by rows) in the forms that products read.
inline void store_half_scales(__m256i half, std::int64_t block, std::int64_t first_row, Tile& tile) {
  store_words(tile.half[block] + first_row, half);
  const __m256i first = _mm256_slli_epi32(half, 16);
  const __m256i second = half;
  auto* each = tile.half_each[block];
  if constexpr (kVnni) {
    store_words(each[0] + first_row, _mm256_castps_si256(_mm256_cvtepi32_ps(_mm256_srai_epi32(first, 16))));
    store_words(each[1] + first_row, _mm256_castps_si256(_mm256_cvtepi32_ps(_mm256_srai_epi32(second, 16))));
  } else {
    store_words(each[0] + first_row, _mm256_blend_epi16(second, first, 0xaa));
    store_words(each[1] + first_row, _mm256_blend_epi16(_mm256_srli_epi32(second, 16), second, 0xaa));
  }
}

// Group `g` of the tile (0 .. 3) for rows first_row .. first_row + 7, whose bytes are at groups[0 .. 7]: any format,
// row by row, then transposed.
template <class G>
struct GroupFill {
  static void fill(const std::uint8_t* const (&groups)[8], std::int64_t g, std::int64_t first_row, Tile& tile) {
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
      transpose8(half);
      MLXR_UNROLL
      for (int b = 0; b < 8; ++b)
        store_half_scales(half[b], 8 * g + b, first_row, tile);
    }
  }
};

// The most common formats are transposed as they are stored, which is half of the words or fewer, and unpacked then.

inline void store_step(Tile& tile, std::int64_t step, std::int64_t first_row, __m256i quants) {
  _mm256_store_si256(reinterpret_cast<__m256i*>(tile.quants[step][first_row]), quants);
}

template <>
struct GroupFill<Group<QuantType::kQ4_K>> {
  static void fill(const std::uint8_t* const (&groups)[8], std::int64_t g, std::int64_t first_row, Tile& tile) {
    static_assert(offsetof(BlockQ4_K, d) == 0 && offsetof(BlockQ4_K, dmin) == 2 && offsetof(BlockQ4_K, scales) == 4);
    const __m256i low4 = _mm256_set1_epi8(15);
    __m256i words[4];
    for (std::int64_t part = 0; part < 8; ++part) {  // 16 bytes: half of two blocks
      load_words(groups, offsetof(BlockQ4_K, qs) + static_cast<std::size_t>(16 * part), words);
      const std::int64_t step = 8 * (8 * g + part / 2 * 2) + part % 2 * 4;
      MLXR_UNROLL
      for (int w = 0; w < 4; ++w) {
        store_step(tile, step + w, first_row, _mm256_and_si256(words[w], low4));
        store_step(tile, step + 8 + w, first_row, _mm256_and_si256(_mm256_srli_epi16(words[w], 4), low4));
      }
    }
    load_words(groups, 0, words);  // d and dmin, then scales and minima (unpack_scale_min_words says how)
    const __m256 d = load_halves(groups, offsetof(BlockQ4_K, d));
    const __m256 dmin = load_halves(groups, offsetof(BlockQ4_K, dmin));
    const __m256i low = _mm256_set1_epi32(15);
    const __m256i six = _mm256_set1_epi32(63);
    const __m256i top = _mm256_set1_epi32(0x30);
    const auto store = [&](float(&to)[kTileRows], __m256 factor, __m256i level) {
      _mm256_store_ps(to + first_row, _mm256_mul_ps(factor, _mm256_cvtepi32_ps(level)));
    };
    MLXR_UNROLL
    for (int b = 0; b < 4; ++b) {
      const __m256i scale = _mm256_srli_epi32(words[1], 8 * b);
      const __m256i min = _mm256_srli_epi32(words[2], 8 * b);
      const __m256i rest = _mm256_srli_epi32(words[3], 8 * b);
      store(tile.scale[8 * g + b], d, _mm256_and_si256(scale, six));
      store(tile.min[8 * g + b], dmin, _mm256_and_si256(min, six));
      store(tile.scale[8 * g + 4 + b], d,
            _mm256_or_si256(_mm256_and_si256(rest, low), _mm256_and_si256(_mm256_srli_epi32(scale, 2), top)));
      store(tile.min[8 * g + 4 + b], dmin,
            _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi32(rest, 4), low),
                            _mm256_and_si256(_mm256_srli_epi32(min, 2), top)));
    }
  }
};

template <>
struct GroupFill<Group<QuantType::kQ6_K>> {
  static void fill(const std::uint8_t* const (&groups)[8], std::int64_t g, std::int64_t first_row, Tile& tile) {
    const __m256i low4 = _mm256_set1_epi8(15);
    const __m256i high2 = _mm256_set1_epi8(0x30);
    for (std::int64_t part = 0; part < 4; ++part) {  // 16 elements of the four blocks of a half
      const auto half = static_cast<std::size_t>(part / 2);
      const auto bytes = static_cast<std::size_t>(part % 2 * 16);
      __m256i low[4];
      __m256i next[4];
      __m256i high[4];
      load_words(groups, offsetof(BlockQ6_K, ql) + 64 * half + bytes, low);
      load_words(groups, offsetof(BlockQ6_K, ql) + 64 * half + 32 + bytes, next);
      load_words(groups, offsetof(BlockQ6_K, qh) + 32 * half + bytes, high);
      const std::int64_t step = 8 * (8 * g + 4 * (part / 2)) + part % 2 * 4;
      MLXR_UNROLL
      for (int w = 0; w < 4; ++w) {
        const auto join = [&](int block, __m256i four, __m256i two) {
          store_step(tile, step + 8 * block + w, first_row,
                     _mm256_or_si256(_mm256_and_si256(four, low4), _mm256_and_si256(two, high2)));
        };
        join(0, low[w], _mm256_slli_epi16(high[w], 4));
        join(1, next[w], _mm256_slli_epi16(high[w], 2));
        join(2, _mm256_srli_epi16(low[w], 4), high[w]);
        join(3, _mm256_srli_epi16(next[w], 4), _mm256_srli_epi16(high[w], 2));
      }
    }
    const __m256 d = load_halves(groups, offsetof(BlockQ6_K, d));
    MLXR_UNROLL
    for (int b = 0; b < 8; ++b)
      _mm256_store_ps(tile.scale[8 * g + b] + first_row, d);
    __m256i words[4];
    load_words(groups, offsetof(BlockQ6_K, scales), words);  // four scales a word
    MLXR_UNROLL
    for (int w = 0; w < 4; ++w) {
      const __m256i odd = _mm256_srai_epi16(words[w], 8);                         // scales 1 and 3 in 16 bits
      const __m256i even = _mm256_srai_epi16(_mm256_slli_epi16(words[w], 8), 8);  // 0 and 2
      const __m256i first = _mm256_blend_epi16(even, _mm256_slli_epi32(odd, 16), 0xaa);
      const __m256i second = _mm256_blend_epi16(_mm256_srli_epi32(even, 16), odd, 0xaa);
      store_half_scales(first, 8 * g + 2 * w, first_row, tile);
      store_half_scales(second, 8 * g + 2 * w + 1, first_row, tile);
    }
  }
};

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
      GroupFill<G>::fill(groups, g, r8, tile);
    }
  }
}
