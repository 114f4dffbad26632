#pragma once
// Prompt lookup (Saxena, "Prompt Lookup Decoding", 2023): what followed the last time the text had the same end. Of the
// places whose last few tokens agree, the one with the longest common ending, the latest among equals. An index of
// hashes grows with the text: constant time a token, and 8 bytes a token for each length of n-gram.

#include <unordered_map>

#include "core/runtime/spec/proposer.h"

namespace mlxr {

struct NgramOptions {
  std::int64_t min_match = 2;   // tokens that must agree
  std::int64_t long_match = 5;  // places that agree in so many are looked at first
};

class NgramProposer : public Proposer {
 public:
  // Requires 1 <= min_match <= long_match.
  explicit NgramProposer(const NgramOptions& options = {});

  std::string_view name() const override { return "ngram"; }
  std::vector<TokenId> propose(std::span<const TokenId> context, std::int64_t max_tokens) override;
  void truncate(std::int64_t length) override;

 private:
  // Of all n-grams of one length: where each ended last, by hash, and where the one that ended here ended before.
  struct Index {
    std::int64_t length = 0;
    std::unordered_map<std::uint64_t, std::int32_t> latest;  // hash -> end of the n-gram
    std::vector<std::int32_t> earlier;                       // [tokens]: by end - 1; kNowhere when there is none
    std::vector<std::uint64_t> hashes;                       // [tokens]: by end - 1
  };
  static constexpr std::int32_t kNowhere = -1;

  void extend(std::span<const TokenId> context);
  // The end of the best earlier place that agrees in at least index.length tokens.
  static std::int32_t find(const Index& index, std::span<const TokenId> context);

  std::vector<Index> indexes_;  // longest first
  std::int64_t indexed_ = 0;    // tokens
};

}  // namespace mlxr
