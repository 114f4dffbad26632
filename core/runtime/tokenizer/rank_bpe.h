#pragma once
// Byte-pair encoding without a list of merges: two neighbours merge when together they are a token, the one of the best
// rank first. SentencePiece ranks by score and starts from characters; tiktoken ranks by id and starts from bytes.
// Sources: google/sentencepiece src/bpe_model.cc; openai/tiktoken src/lib.rs.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/runtime/tokenizer/bpe_merge.h"
#include "core/runtime/tokenizer/token_model.h"

namespace mlxr {

struct RankBpeOptions {
  bool from_bytes = false;     // pieces are bytes and tokens known by theirs; otherwise characters and spellings
  bool whole_piece = false;    // a piece that is a token as a whole is that token
  TokenId unknown = kNoToken;  // for a character that has neither a token nor byte tokens; runs of it are one token
};

class RankBpe final : public TokenModel {
 public:
  // `ranks` by id: kNoRank for tokens that no text turns into. Tokens of type kByte stand for bytes without a character
  // of their own; those of type kUnused are taken apart again. `vocabulary` must outlive the model.
  RankBpe(const Vocabulary& vocabulary, std::vector<std::uint32_t> ranks, const RankBpeOptions& options);

  void encode(std::string_view piece, std::vector<TokenId>& out) const override;

  // The two tokens that `piece` is made of when only tokens of a rank below `limit` exist; false when there are not
  // two.
  bool split_below(std::string_view piece, std::uint32_t limit, TokenId& left, TokenId& right) const;

  const RankBpeOptions& options() const { return options_; }
  std::uint32_t rank(TokenId id) const { return ranks_[static_cast<std::size_t>(id)]; }
  TokenId find(std::string_view text) const { return words_.find(text); }

 private:
  struct Symbol {
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
  };
  // Where the halves of an unused token meet, by its range: such a merge is undone in the end.
  using UnusedMerges = std::unordered_map<std::uint64_t, std::uint32_t>;
  static std::uint64_t range_key(Symbol symbol) {
    return (static_cast<std::uint64_t>(symbol.begin) << 32) | symbol.end;
  }

  std::vector<Symbol> start(std::string_view piece) const;
  void merge(std::string_view piece, std::uint32_t limit, std::vector<Symbol>& symbols, UnusedMerges* unused) const;
  void emit(std::string_view piece, Symbol symbol, const UnusedMerges& unused, std::vector<TokenId>& out) const;
  void emit_unknown(std::string_view text, std::vector<TokenId>& out) const;

  const Vocabulary* vocabulary_;
  std::vector<std::uint32_t> ranks_;
  RankBpeOptions options_;
  TokenIndex words_;
  std::size_t longest_ = 0;  // bytes of the longest token
  std::array<TokenId, 256> byte_tokens_{};
};

// Ranks of SentencePiece: the best score first, equal scores equal. Tokens that text cannot turn into get kNoRank.
std::vector<std::uint32_t> ranks_by_score(const Vocabulary& vocabulary);

}  // namespace mlxr
