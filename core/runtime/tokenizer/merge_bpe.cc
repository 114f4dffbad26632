#include "core/runtime/tokenizer/merge_bpe.h"

#include "core/base/utf8.h"
#include "core/runtime/tokenizer/bpe_merge.h"

namespace mlxr {
namespace {

std::uint64_t pair_key(TokenId left, TokenId right) {
  return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32) | static_cast<std::uint32_t>(right);
}

// Fibonacci hashing: the ids of a pair differ in few low bits.
std::size_t pair_hash(std::uint64_t key) {
  return static_cast<std::size_t>((key * 0x9E3779B97F4A7C15u) >> 20);
}

}  // namespace

MergeBpe::MergeBpe(const Vocabulary& vocabulary, const std::vector<bool>& members, std::vector<Merge> merges,
                   const MergeBpeOptions& options)
    : options_(options), merges_(std::move(merges)) {
  const auto member = [&](TokenId id) { return members[static_cast<std::size_t>(id)]; };
  // A byte-level piece arrives as bytes, any other as the vocabulary spells it.
  words_.build(vocabulary.size(), [&](TokenId id) {
    if (!member(id)) return std::string_view();
    return options_.byte_level ? std::string_view(vocabulary.token(id).bytes)
                               : std::string_view(vocabulary.token(id).piece);
  });
  for (int b = 0; b < 256; ++b) {
    const auto byte = static_cast<std::uint8_t>(b);
    const char text = static_cast<char>(byte);
    TokenId& id = byte_tokens_[byte];
    if (options_.byte_level) {
      id = words_.find(std::string_view(&text, 1));
    } else {
      id = options_.byte_fallback ? vocabulary.find_piece(byte_piece(byte)) : kNoToken;
    }
  }
  std::size_t capacity = 16;
  while (capacity < merges_.size() * 2)
    capacity *= 2;
  slots_.resize(capacity);
  for (std::size_t i = 0; i < merges_.size(); ++i)
    insert(merges_[i], static_cast<std::uint32_t>(i));
}

void MergeBpe::insert(const Merge& merge, std::uint32_t rank) {
  const std::size_t mask = slots_.size() - 1;
  const std::uint64_t key = pair_key(merge.left, merge.right);
  std::size_t at = pair_hash(key) & mask;
  while (slots_[at].result != kNoToken && slots_[at].pair != key)
    at = (at + 1) & mask;
  // The last of two equal merges wins, as when a map is filled.
  slots_[at] = {key, rank, merge.result};
}

const MergeBpe::Slot* MergeBpe::find(TokenId left, TokenId right) const {
  const std::size_t mask = slots_.size() - 1;
  const std::uint64_t key = pair_key(left, right);
  for (std::size_t at = pair_hash(key) & mask; slots_[at].result != kNoToken; at = (at + 1) & mask) {
    if (slots_[at].pair == key) return &slots_[at];
  }
  return nullptr;
}

void MergeBpe::start_from_bytes(std::string_view piece, std::vector<TokenId>& symbols) const {
  for (const char c : piece) {
    const TokenId id = byte_tokens_[static_cast<unsigned char>(c)];
    if (id != kNoToken) {
      symbols.push_back(id);
    } else if (options_.unknown != kNoToken) {
      symbols.push_back(options_.unknown);
    }
  }
}

void MergeBpe::start_from_characters(std::string_view piece, std::vector<TokenId>& symbols) const {
  bool after_unknown = false;
  while (!piece.empty()) {
    const std::string_view character = piece.substr(0, decode_utf8(piece).length);
    piece.remove_prefix(character.size());
    const TokenId id = words_.find(character);
    if (id != kNoToken) {
      symbols.push_back(id);
      after_unknown = false;
      continue;
    }
    bool bytes_known = options_.byte_fallback;
    for (const char c : character)
      bytes_known = bytes_known && byte_tokens_[static_cast<unsigned char>(c)] != kNoToken;
    if (bytes_known) {
      for (const char c : character)
        symbols.push_back(byte_tokens_[static_cast<unsigned char>(c)]);
      after_unknown = false;
    } else if (options_.unknown != kNoToken) {
      if (!(after_unknown && options_.fuse_unknown)) symbols.push_back(options_.unknown);
      after_unknown = true;
    }
  }
}

void MergeBpe::encode(std::string_view piece, std::vector<TokenId>& out) const {
  if (piece.empty()) return;
  if (options_.ignore_merges) {
    const TokenId whole = words_.find(piece);
    if (whole != kNoToken) {
      out.push_back(whole);
      return;
    }
  }
  std::vector<TokenId> symbols;
  symbols.reserve(piece.size());
  if (options_.byte_level) {
    start_from_bytes(piece, symbols);
  } else {
    start_from_characters(piece, symbols);
  }
  std::vector<std::uint32_t> ranks;
  merge_symbols(
      symbols, ranks,
      [&](TokenId left, TokenId right) {
        const Slot* slot = find(left, right);
        return slot == nullptr ? kNoRank : slot->rank;
      },
      [&](TokenId left, TokenId right) { return find(left, right)->result; });
  out.insert(out.end(), symbols.begin(), symbols.end());
}

}  // namespace mlxr
