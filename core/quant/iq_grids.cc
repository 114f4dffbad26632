#include "core/quant/iq_grids.h"

#include <cstddef>

namespace mlxr {
namespace {

#include "core/quant/iq_grids.inc"

// Rows of bytes from rows of codes of `bits` bits; values[code] is what a code stands for.
template <class Row, std::size_t kRows, std::size_t kValues>
constexpr std::array<Row, kRows> expand(const std::uint16_t (&packed)[kRows], const int (&values)[kValues]) {
  constexpr unsigned kBits = kValues <= 4 ? 2 : 3;
  std::array<Row, kRows> rows{};
  for (std::size_t r = 0; r < kRows; ++r) {
    for (unsigned j = 0; j < sizeof(Row); ++j) {
      const unsigned code = (packed[r] >> (kBits * j)) & ((1U << kBits) - 1);
      rows[r] |= static_cast<Row>(static_cast<Row>(values[code] & 0xff) << (8 * j));
    }
  }
  return rows;
}

constexpr int kIq2Values[] = {8, 25, 43};
constexpr int kIq3XxsValues[] = {4, 12, 20, 28, 36, 44, 52, 62};
constexpr int kIq3SValues[] = {1, 3, 5, 7, 9, 11, 13, 15};
constexpr int kIq1Values[] = {-1, 0, 1};

}  // namespace

constinit const std::array<std::uint64_t, 256> kIq2XxsGrid = expand<std::uint64_t>(kPackedIq2Xxs, kIq2Values);
constinit const std::array<std::uint64_t, 512> kIq2XsGrid = expand<std::uint64_t>(kPackedIq2Xs, kIq2Values);
constinit const std::array<std::uint64_t, 1024> kIq2SGrid = expand<std::uint64_t>(kPackedIq2S, kIq2Values);
constinit const std::array<std::uint32_t, 256> kIq3XxsGrid = expand<std::uint32_t>(kPackedIq3Xxs, kIq3XxsValues);
constinit const std::array<std::uint32_t, 512> kIq3SGrid = expand<std::uint32_t>(kPackedIq3S, kIq3SValues);
constinit const std::array<std::uint64_t, 2048> kIq1Grid = expand<std::uint64_t>(kPackedIq1S, kIq1Values);

}  // namespace mlxr
