#include "core/runtime/tokenizer/rank_bpe.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/base/utf8.h"

namespace mlxr {

RankBpe::RankBpe(const Vocabulary& vocabulary, std::vector<std::uint32_t> ranks, const RankBpeOptions& options)
    : vocabulary_(&vocabulary), ranks_(std::move(ranks)), options_(options) {
  const auto word = [&](TokenId id) {
    const Token& token = vocabulary.token(id);
    return std::string_view(options_.from_bytes ? token.bytes : token.piece);
  };
  words_.build(vocabulary.size(), [&](TokenId id) { return rank(id) == kNoRank ? std::string_view() : word(id); });
  byte_tokens_.fill(kNoToken);
  for (std::size_t i = 0; i < vocabulary.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    if (rank(id) != kNoRank) longest_ = std::max(longest_, word(id).size());
    if (vocabulary.token(id).type == TokenType::kByte && vocabulary.token(id).bytes.size() == 1) {
      byte_tokens_[static_cast<unsigned char>(vocabulary.token(id).bytes[0])] = id;
    }
  }
}

std::vector<RankBpe::Symbol> RankBpe::start(std::string_view piece) const {
  std::vector<Symbol> symbols;
  symbols.reserve(piece.size());
  for (std::size_t at = 0; at < piece.size();) {
    const std::size_t length = options_.from_bytes ? 1 : decode_utf8(piece.substr(at)).length;
    symbols.push_back({static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(at + length)});
    at += length;
  }
  return symbols;
}

void RankBpe::merge(std::string_view piece, std::uint32_t limit, std::vector<Symbol>& symbols,
                    UnusedMerges* unused) const {
  const auto pair_rank = [&](Symbol left, Symbol right) {
    const std::size_t length = right.end - left.begin;
    if (length > longest_) return kNoRank;
    const TokenId id = words_.find(piece.substr(left.begin, length));
    if (id == kNoToken) return kNoRank;
    const std::uint32_t value = rank(id);
    return value < limit ? value : kNoRank;
  };
  const auto join = [&](Symbol left, Symbol right) {
    const Symbol result{left.begin, right.end};
    if (unused != nullptr) {
      const TokenId id = words_.find(piece.substr(result.begin, result.end - result.begin));
      if (vocabulary_->token(id).type == TokenType::kUnused) (*unused)[range_key(result)] = left.end;
    }
    return result;
  };
  std::vector<std::uint32_t> ranks;
  merge_symbols(symbols, ranks, pair_rank, join);
}

void RankBpe::emit_unknown(std::string_view text, std::vector<TokenId>& out) const {
  const bool bytes_known = std::all_of(text.begin(), text.end(),
                                       [&](char c) { return byte_tokens_[static_cast<unsigned char>(c)] != kNoToken; });
  if (bytes_known) {
    for (const char c : text)
      out.push_back(byte_tokens_[static_cast<unsigned char>(c)]);
  } else if (options_.unknown != kNoToken && (out.empty() || out.back() != options_.unknown)) {
    out.push_back(options_.unknown);
  }
}

void RankBpe::emit(std::string_view piece, Symbol symbol, const UnusedMerges& unused, std::vector<TokenId>& out) const {
  const std::string_view text = piece.substr(symbol.begin, symbol.end - symbol.begin);
  const TokenId id = words_.find(text);
  if (id == kNoToken) return emit_unknown(text, out);
  if (vocabulary_->token(id).type == TokenType::kUnused) {
    const auto found = unused.find(range_key(symbol));
    if (found != unused.end()) {
      // The halves are shorter, so the recursion ends.
      emit(piece, {symbol.begin, found->second}, unused, out);
      return emit(piece, {found->second, symbol.end}, unused, out);
    }
  }
  out.push_back(id);
}

void RankBpe::encode(std::string_view piece, std::vector<TokenId>& out) const {
  if (piece.empty()) return;
  if (options_.whole_piece) {
    const TokenId whole = words_.find(piece);
    if (whole != kNoToken) {
      out.push_back(whole);
      return;
    }
  }
  std::vector<Symbol> symbols = start(piece);
  UnusedMerges unused;
  merge(piece, kNoRank, symbols, &unused);
  for (const Symbol symbol : symbols)
    emit(piece, symbol, unused, out);
}

bool RankBpe::split_below(std::string_view piece, std::uint32_t limit, TokenId& left, TokenId& right) const {
  std::vector<Symbol> symbols = start(piece);
  merge(piece, limit, symbols, nullptr);
  if (symbols.size() != 2) return false;
  left = words_.find(piece.substr(symbols[0].begin, symbols[0].end - symbols[0].begin));
  right = words_.find(piece.substr(symbols[1].begin, symbols[1].end - symbols[1].begin));
  return left != kNoToken && right != kNoToken;
}

std::vector<std::uint32_t> ranks_by_score(const Vocabulary& vocabulary) {
  const auto score = [&](std::size_t id) {
    const float value = vocabulary.token(static_cast<TokenId>(id)).score;
    return std::isnan(value) ? -std::numeric_limits<float>::infinity() : value;
  };
  std::vector<std::size_t> order;
  for (std::size_t id = 0; id < vocabulary.size(); ++id) {
    const TokenType type = vocabulary.token(static_cast<TokenId>(id)).type;
    if (type == TokenType::kNormal || type == TokenType::kUserDefined || type == TokenType::kUnused)
      order.push_back(id);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return score(a) > score(b); });
  std::vector<std::uint32_t> ranks(vocabulary.size(), kNoRank);
  std::uint32_t rank = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (i > 0 && score(order[i]) != score(order[i - 1])) ++rank;
    ranks[order[i]] = rank;
  }
  return ranks;
}

}  // namespace mlxr
