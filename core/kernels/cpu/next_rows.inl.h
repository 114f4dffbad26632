// The bytes of the next tile of rows, fetched to the second-level cache a little at a time by the products with this
// one. Prefetches do nothing for pages that are not in the TLB (measured on an EPYC 7003 under a hypervisor): the
// caller has read from each page before.

struct NextRows {
  static constexpr std::int64_t kLine = 64;

  const std::uint8_t* at;
  const std::uint8_t* end;
  std::int64_t step;  // bytes a call, whole cache lines

  // `blocks` calls of fetch() are to come. The next tile lies behind this one.
  static NextRows of(const WeightRows& rows, std::int64_t blocks) {
    const std::int64_t more = rows.following_rows - kMaxTileRows;
    if (more <= 0) return {nullptr, nullptr, 0};
    const auto row_bytes = static_cast<std::int64_t>(rows.row_bytes);
    const std::int64_t bytes = (more < kMaxTileRows ? more : kMaxTileRows) * row_bytes;
    const auto* begin = reinterpret_cast<const std::uint8_t*>(rows.data) + kMaxTileRows * row_bytes;
    const std::int64_t step = (bytes + blocks - 1) / blocks;
    return {begin, begin + bytes, (step + kLine - 1) / kLine * kLine};
  }

  MLXR_ALWAYS_INLINE void fetch() {
    if (at >= end) return;
    for (std::int64_t i = 0; i < step; i += kLine)
      _mm_prefetch(reinterpret_cast<const char*>(at + i), _MM_HINT_T1);
    at += step;
  }
};
