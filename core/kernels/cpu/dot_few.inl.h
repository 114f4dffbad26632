// Products of a few tokens with rows straight from their stored blocks. Included once an instruction set, inside its
// namespace and target region, after a vocabulary that defines
//   F8, I8          eight f32, eight i32
//   f8_zero, f8_load, f8_mul, f8_fma(a, b, c) = a * b + c, f8_fnma(a, b, c) = c - a * b, f8_from(I8), f8_fold
//   Group<kType>    what PortableGroup (weight_group.h) says of the format, and in registers Quants unpack(bytes),
//                   Scales scales(bytes), the exact sums of each block I8 sums(Quants, Scales, ActivationGroup) and,
//                   where kHalfMins, I8 min_sums(Scales, ActivationGroup)
//   prefetch(address)
//   kFewTokens      tokens taken together
//
// Layout: one row at a time, a group of 256 elements at a time, its quants unpacked to registers once for all tokens;
// the lanes of a float vector are the eight blocks of the group. Bound: reading the weights from memory (1 token).

// Rows are read this far ahead: about the distance that memory latency covers at one core's share of the bandwidth.
inline constexpr std::size_t kPrefetchBytes = 1024;

template <class G, int kTokens>
inline void dot_row_few(const std::uint8_t* row, std::int64_t elements, const ActivationGroup* x,
                        std::int64_t groups_per_row, float* out, std::int64_t out_stride) {
  const std::int64_t whole_groups = elements / kGroupElements;
  alignas(64) std::uint8_t last[G::kBytes];
  if (whole_groups < groups_per_row) {  // blocks that the row does not have are zero
    const auto left = static_cast<std::size_t>((elements - whole_groups * kGroupElements) / G::kBlockElements);
    std::memset(last, 0, sizeof(last));
    std::memcpy(last, row + static_cast<std::size_t>(whole_groups) * G::kBytes, left * G::kBlockBytes);
  }
  float total[kTokens] = {};
  for (std::int64_t first = 0; first < groups_per_row; first += kChunkGroups) {
    F8 acc[kTokens];
    MLXR_UNROLL
    for (int t = 0; t < kTokens; ++t)
      acc[t] = f8_zero();
    const std::int64_t end = first + kChunkGroups < groups_per_row ? first + kChunkGroups : groups_per_row;
    for (std::int64_t g = first; g < end; ++g) {
      const std::uint8_t* bytes = g < whole_groups ? row + static_cast<std::size_t>(g) * G::kBytes : last;
      for (std::size_t ahead = 0; ahead < G::kBytes; ahead += 64)
        prefetch(bytes + kPrefetchBytes + ahead);
      const auto quants = G::unpack(bytes);
      const auto scales = G::scales(bytes);
      MLXR_UNROLL
      for (int t = 0; t < kTokens; ++t) {
        const ActivationGroup& a = x[t * groups_per_row + g];
        const F8 sums = f8_from(G::sums(quants, scales, a));
        const F8 x_scale = f8_load(a.scale);
        acc[t] = f8_fma(sums, f8_mul(scales.scale, x_scale), acc[t]);
        if constexpr (G::kHasMin) acc[t] = f8_fnma(scales.min, f8_load(a.scaled_sum), acc[t]);
        if constexpr (G::kHalfMins)
          acc[t] = f8_fnma(f8_mul(scales.min, x_scale), f8_from(G::min_sums(scales, a)), acc[t]);
      }
    }
    MLXR_UNROLL
    for (int t = 0; t < kTokens; ++t)
      total[t] += f8_fold(acc[t]);
  }
  for (int t = 0; t < kTokens; ++t)
    out[t * out_stride] = total[t];
}

// kTokens tokens at a time, then the rest at once.
template <class G, int kTokens>
inline void dot_row_all(const std::uint8_t* row, std::int64_t elements, const ActivationGroup* x, std::int64_t tokens,
                        float* out, std::int64_t out_stride) {
  const std::int64_t groups = num_groups(elements);
  for (; tokens >= kTokens; tokens -= kTokens) {
    dot_row_few<G, kTokens>(row, elements, x, groups, out, out_stride);
    x += kTokens * groups;
    out += kTokens * out_stride;
  }
  if constexpr (kTokens > 1) dot_row_all<G, kTokens - 1>(row, elements, x, tokens, out, out_stride);
}

template <QuantType kType>
void dot_few(const WeightRows& rows, const ActivationGroup* x, std::int64_t tokens, TileScratch&, DotOutput out) {
  using G = Group<kType>;
  for (std::int64_t r = 0; r < rows.num_rows; ++r) {
    const auto* row = reinterpret_cast<const std::uint8_t*>(rows.data) + static_cast<std::size_t>(r) * rows.row_bytes;
    dot_row_all<G, kFewTokens>(row, rows.elements, x, tokens, out.data + r, out.stride);
  }
}
