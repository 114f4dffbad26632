#pragma once
// The merge loop of byte-pair encoding: again and again the adjacent pair of lowest rank, leftmost first, becomes one
// symbol. Source: Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units" (2016), algorithm 1.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

namespace mlxr {

inline constexpr std::uint32_t kNoRank = std::numeric_limits<std::uint32_t>::max();

namespace bpe_detail {

// Up to this many symbols the scan for the lowest rank beats a heap.
inline constexpr std::size_t kScanLimit = 48;

template <class Symbol, class Rank, class Join>
void merge_by_scan(std::vector<Symbol>& symbols, std::vector<std::uint32_t>& ranks, const Rank& rank,
                   const Join& join) {
  std::size_t count = symbols.size();
  while (count > 1) {
    std::size_t best = 0;
    for (std::size_t i = 1; i + 1 < count; ++i) {
      if (ranks[i] < ranks[best]) best = i;
    }
    if (ranks[best] == kNoRank) break;
    symbols[best] = join(symbols[best], symbols[best + 1]);
    std::move(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 2,
              symbols.begin() + static_cast<std::ptrdiff_t>(count),
              symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    std::move(ranks.begin() + static_cast<std::ptrdiff_t>(best) + 2, ranks.begin() + static_cast<std::ptrdiff_t>(count),
              ranks.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    --count;
    ranks[best] = best + 1 < count ? rank(symbols[best], symbols[best + 1]) : kNoRank;
    if (best > 0) ranks[best - 1] = rank(symbols[best - 1], symbols[best]);
  }
  symbols.resize(count);
}

template <class Symbol, class Rank, class Join>
void merge_by_heap(std::vector<Symbol>& symbols, std::vector<std::uint32_t>& ranks, const Rank& rank,
                   const Join& join) {
  const auto count = static_cast<std::uint32_t>(symbols.size());
  // A heap entry is the rank of a pair and the place of its left symbol; it is stale unless `ranks` still says the
  // same.
  std::vector<std::uint64_t> heap;
  const auto push = [&](std::uint32_t place, std::uint32_t value) {
    ranks[place] = value;
    if (value == kNoRank) return;
    heap.push_back((static_cast<std::uint64_t>(value) << 32) | place);
    std::push_heap(heap.begin(), heap.end(), std::greater<>{});
  };
  for (std::uint32_t i = 0; i < count; ++i) {
    if (ranks[i] != kNoRank) heap.push_back((static_cast<std::uint64_t>(ranks[i]) << 32) | i);
  }
  std::make_heap(heap.begin(), heap.end(), std::greater<>{});
  std::vector<std::uint32_t> next(count);
  std::vector<std::uint32_t> previous(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    next[i] = i + 1;
    previous[i] = i - 1;  // of the first: never read
  }
  std::vector<bool> gone(count, false);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), std::greater<>{});
    const auto place = static_cast<std::uint32_t>(heap.back());
    const auto value = static_cast<std::uint32_t>(heap.back() >> 32);
    heap.pop_back();
    if (gone[place] || ranks[place] != value) continue;
    const std::uint32_t right = next[place];
    symbols[place] = join(symbols[place], symbols[right]);
    gone[right] = true;
    next[place] = next[right];
    if (next[place] < count) previous[next[place]] = place;
    push(place, next[place] < count ? rank(symbols[place], symbols[next[place]]) : kNoRank);
    if (place > 0) push(previous[place], rank(symbols[previous[place]], symbols[place]));
  }
  std::size_t kept = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (!gone[i]) symbols[kept++] = symbols[i];
  }
  symbols.resize(kept);
}

}  // namespace bpe_detail

// Merges `symbols` in place. rank(left, right) is the rank of a pair, kNoRank when it does not merge; join(left, right)
// is the merged symbol. At most 2^32 - 1 symbols. Time: n log n.
template <class Symbol, class Rank, class Join>
void merge_symbols(std::vector<Symbol>& symbols, std::vector<std::uint32_t>& ranks, const Rank& rank,
                   const Join& join) {
  const std::size_t count = symbols.size();
  if (count < 2) return;
  ranks.resize(count);
  for (std::size_t i = 0; i + 1 < count; ++i)
    ranks[i] = rank(symbols[i], symbols[i + 1]);
  ranks[count - 1] = kNoRank;
  if (count <= bpe_detail::kScanLimit) {
    bpe_detail::merge_by_scan(symbols, ranks, rank, join);
  } else {
    bpe_detail::merge_by_heap(symbols, ranks, rank, join);
  }
}

}  // namespace mlxr
