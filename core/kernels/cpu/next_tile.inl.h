// The bytes of the next tile, read a little at a time by the products with this one, so that they are in the cache when
// it is filled: filling reads rows in an order that the hardware does not foresee. One byte of each cache line is
// really loaded, since prefetch instructions were measured to do nothing for pages that are not in the TLB (an EPYC
// 7003 under a hypervisor: 16 tokens and a matrix in memory, 63 G products a second with them or without, 83 G with
// loads). Included with kTileRows said.

struct NextTile {
  static constexpr std::int64_t kLine = 64;

  const volatile std::uint8_t* at;
  std::int64_t left;
  std::int64_t step;  // bytes a call; whole cache lines where it is more than one

  // `blocks` calls of read() are to come for chunk `chunk` of `num_chunks`. The next tile lies behind this one.
  static NextTile of(const WeightRows& rows, std::int64_t row, std::int64_t chunk, std::int64_t num_chunks,
                     std::int64_t blocks) {
    const auto row_bytes = static_cast<std::int64_t>(rows.row_bytes);
    const std::int64_t bytes = (kTileRows * row_bytes + num_chunks - 1) / num_chunks;
    const std::int64_t first = (row + kTileRows) * row_bytes + chunk * bytes;
    const std::int64_t exist = rows.following_rows * row_bytes;
    if (first >= exist) return {nullptr, 0, 1};
    const std::int64_t step = (bytes + blocks - 1) / blocks;
    const std::int64_t whole_lines = (step + kLine - 1) / kLine * kLine;
    return {reinterpret_cast<const std::uint8_t*>(rows.data) + first, bytes < exist - first ? bytes : exist - first,
            step < kLine ? step : whole_lines};
  }
  MLXR_ALWAYS_INLINE void read() {
    if (left <= 0) return;
    for (std::int64_t i = 0; i < step && i < left; i += kLine)
      static_cast<void>(at[i]);
    at += step;
    left -= step;
  }
};
