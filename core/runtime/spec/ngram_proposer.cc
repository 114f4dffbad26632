#include "core/runtime/spec/ngram_proposer.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"

namespace mlxr {
namespace {

// Places looked at for the longest agreement, and tokens compared at each.
constexpr int kMostPlaces = 16;
constexpr std::int64_t kMostAgreement = 64;

std::uint64_t hash_of(std::span<const TokenId> tokens) {
  std::uint64_t hash = 0x9e3779b97f4a7c15U;
  for (const TokenId token : tokens) {
    hash = (hash ^ static_cast<std::uint32_t>(token)) * 0xff51afd7ed558ccdU;
    hash ^= hash >> 32;
  }
  return hash;
}

// How many tokens before `end` equal those at the end of the context.
std::int64_t agreement(std::span<const TokenId> context, std::int64_t end) {
  const auto size = static_cast<std::int64_t>(context.size());
  std::int64_t count = 0;
  while (count < std::min(end, kMostAgreement) &&
         context[static_cast<std::size_t>(end - 1 - count)] == context[static_cast<std::size_t>(size - 1 - count)]) {
    ++count;
  }
  return count;
}

}  // namespace

NgramProposer::NgramProposer(const NgramOptions& options) {
  MLXR_CHECK(options.min_match >= 1 && options.min_match <= options.long_match, "n-grams of no length");
  for (std::int64_t length = options.long_match; length >= options.min_match; --length) {
    indexes_.emplace_back();
    indexes_.back().length = length;
  }
}

void NgramProposer::extend(std::span<const TokenId> context) {
  const auto size = static_cast<std::int64_t>(context.size());
  MLXR_DCHECK(size >= indexed_, "the sequence became shorter without truncate()");
  for (std::int64_t end = indexed_ + 1; end <= size; ++end) {
    for (Index& index : indexes_) {
      index.earlier.push_back(kNowhere);
      index.hashes.push_back(0);
      if (end < index.length) continue;
      const std::uint64_t hash = hash_of(
          context.subspan(static_cast<std::size_t>(end - index.length), static_cast<std::size_t>(index.length)));
      const auto [place, is_new] = index.latest.try_emplace(hash, static_cast<std::int32_t>(end));
      if (!is_new) index.earlier.back() = std::exchange(place->second, static_cast<std::int32_t>(end));
      index.hashes.back() = hash;
    }
  }
  indexed_ = size;
}

void NgramProposer::truncate(std::int64_t length) {
  for (; indexed_ > length; --indexed_) {
    for (Index& index : indexes_) {
      if (indexed_ >= index.length) {
        const auto place = index.latest.find(index.hashes.back());
        if (index.earlier.back() == kNowhere) {
          index.latest.erase(place);
        } else {
          place->second = index.earlier.back();
        }
      }
      index.earlier.pop_back();
      index.hashes.pop_back();
    }
  }
}

std::int32_t NgramProposer::find(const Index& index, std::span<const TokenId> context) {
  std::int32_t best = kNowhere;
  std::int64_t longest = index.length - 1;
  std::int32_t end = index.earlier[context.size() - 1];
  for (int looked = 0; end != kNowhere && looked < kMostPlaces; ++looked) {
    const std::int64_t agreed = agreement(context, end);
    if (agreed > longest) {
      longest = agreed;
      best = end;
    }
    end = index.earlier[static_cast<std::size_t>(end - 1)];
  }
  return best;
}

std::vector<TokenId> NgramProposer::propose(std::span<const TokenId> context, std::int64_t max_tokens) {
  extend(context);
  if (context.empty() || max_tokens <= 0) return {};
  for (const Index& index : indexes_) {
    const std::int32_t end = find(index, context);
    if (end == kNowhere) continue;
    // Where the context ends, the proposal itself goes on: the text may have a period.
    std::vector<TokenId> proposed;
    for (std::size_t i = static_cast<std::size_t>(end); proposed.size() < static_cast<std::size_t>(max_tokens); ++i)
      proposed.push_back(i < context.size() ? context[i] : proposed[i - context.size()]);
    return proposed;
  }
  return {};
}

}  // namespace mlxr
