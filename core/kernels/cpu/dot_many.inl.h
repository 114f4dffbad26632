// Products of many tokens: walks rows and chunks, decodes a tile, and gives it to dot_tile. Included after dot_tile
// with kTileRows and kManyTokens said.

// Tokens from `first` on, kTokens at a time, then the rest by halves.
template <class G, int kTokens>
inline void dot_tile_all(const Tile& tile, std::int64_t num_chunk_groups, const ActivationGroup* x,
                         std::int64_t groups_per_row, std::int64_t first, std::int64_t tokens, NextTile& next,
                         DotOutput out) {
  std::int64_t t = first;
  for (; t + kTokens <= tokens; t += kTokens)
    dot_tile<G, kTokens>(tile, num_chunk_groups, x + t * groups_per_row, groups_per_row, next,
                         {out.data + t * out.stride, out.stride});
  if constexpr (kTokens > 1)
    dot_tile_all<G, kTokens / 2>(tile, num_chunk_groups, x, groups_per_row, t, tokens, next, out);
}

// Calls of dot_tile for so many tokens: all but the last few in full, then the rest by halves.
constexpr std::int64_t num_products(std::int64_t tokens) {
  std::int64_t count = tokens / kManyTokens;
  for (std::int64_t rest = tokens % kManyTokens; rest > 0; rest &= rest - 1)
    ++count;
  return count;
}

template <QuantType kType>
void dot_many(const WeightRows& rows, const ActivationGroup* x, std::int64_t tokens, TileScratch& scratch,
              DotOutput out) {
  using G = Group<kType>;
  Tile& tile = *reinterpret_cast<Tile*>(scratch.bytes);
  const std::int64_t groups_per_row = num_groups(rows.elements);
  for (std::int64_t row = 0; row < rows.num_rows; row += kTileRows) {
    for (std::int64_t t = 0; t < tokens; ++t)
      std::memset(out.data + t * out.stride + row, 0, kTileRows * sizeof(float));
    for (std::int64_t group = 0; group < groups_per_row; group += kChunkGroups) {
      const std::int64_t left = groups_per_row - group;
      const std::int64_t count = left < kChunkGroups ? left : kChunkGroups;
      fill_tile<G>(rows, row, group, count, tile);
      NextTile next = NextTile::of(rows, row, group / kChunkGroups, (groups_per_row + kChunkGroups - 1) / kChunkGroups,
                                   num_products(tokens) * 8 * count);
      dot_tile_all<TileKindOf<G>, kManyTokens>(tile, count, x + group, groups_per_row, 0, tokens, next,
                                               {out.data + row, out.stride});
    }
  }
}
