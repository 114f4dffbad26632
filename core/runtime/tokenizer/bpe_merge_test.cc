#include "core/runtime/tokenizer/bpe_merge.h"

#include <map>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace mlxr {
namespace {

using Pair = std::pair<int, int>;
using Ranks = std::map<Pair, std::uint32_t>;  // the merged symbol is 1000 + rank

std::uint32_t rank_of(const Ranks& ranks, int left, int right) {
  const auto found = ranks.find({left, right});
  return found == ranks.end() ? kNoRank : found->second;
}

// The definition: over and over the leftmost pair of the lowest rank.
std::vector<int> merge_by_definition(std::vector<int> symbols, const Ranks& ranks) {
  while (true) {
    std::size_t best = 0;
    std::uint32_t best_rank = kNoRank;
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
      const std::uint32_t rank = rank_of(ranks, symbols[i], symbols[i + 1]);
      if (rank < best_rank) {
        best = i;
        best_rank = rank;
      }
    }
    if (best_rank == kNoRank) return symbols;
    symbols[best] = 1000 + static_cast<int>(best_rank);
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

TEST(BpeMerge, ScanAndHeapFollowTheDefinition) {
  std::mt19937 random(3);
  for (int round = 0; round < 300; ++round) {
    Ranks ranks;
    std::vector<int> known = {0, 1, 2, 3};
    for (std::uint32_t rank = 0; rank < 30; ++rank) {
      const Pair pair = {known[random() % known.size()], known[random() % known.size()]};
      if (ranks.emplace(pair, rank).second) known.push_back(1000 + static_cast<int>(rank));
    }
    // Both sides of the length at which the heap takes over.
    const std::size_t length = 1 + random() % (2 * bpe_detail::kScanLimit);
    std::vector<int> symbols(length);
    for (int& symbol : symbols)
      symbol = static_cast<int>(random() % 4);
    const std::vector<int> wanted = merge_by_definition(symbols, ranks);
    std::vector<std::uint32_t> scratch;
    merge_symbols(
        symbols, scratch, [&](int left, int right) { return rank_of(ranks, left, right); },
        [&](int left, int right) { return 1000 + static_cast<int>(rank_of(ranks, left, right)); });
    ASSERT_EQ(symbols, wanted) << round;
  }
}

}  // namespace
}  // namespace mlxr
