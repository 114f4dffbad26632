#pragma once
// Tokens by their bytes, as one array in depth-first order: walking it reads memory forwards, and a subtree that is not
// wanted is one jump. Immutable once made.

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/runtime/tokenizer/vocabulary.h"

namespace mlxr::grammar {

struct TrieNode {
  std::uint32_t next;         // index behind the subtree
  std::uint32_t first_token;  // index into tokens() of the first token of the subtree; the node's own come first
  std::uint16_t num_own;      // tokens that end here
  std::uint16_t depth;        // bytes from the root, which has depth 0
  std::uint8_t byte;
  std::uint8_t height;  // bytes to the deepest node below; 255: as many or more
  std::uint16_t below;  // for ByteTrie::bytes_below()
};

// Which bytes occur somewhere, those that are not ASCII taken together.
struct ByteSet {
  std::uint64_t low = 0;   // 0 to 63
  std::uint64_t high = 0;  // 64 to 127
  bool wide = false;       // 128 to 255

  bool has(std::uint8_t byte) const {
    if (byte >= 128) return wide;
    return (((byte < 64 ? low : high) >> (byte % 64)) & 1U) != 0;
  }
  void add(std::uint8_t byte) {
    if (byte >= 128)
      wide = true;
    else
      (byte < 64 ? low : high) |= std::uint64_t{1} << (byte % 64);
  }
  void add(const ByteSet& other) {
    low |= other.low;
    high |= other.high;
    wide = wide || other.wide;
  }
  bool includes(const ByteSet& other) const {
    return (other.low & ~low) == 0 && (other.high & ~high) == 0 && (wide || !other.wide);
  }
  friend bool operator==(const ByteSet&, const ByteSet&) = default;
};

class ByteTrie {
 public:
  struct Entry {
    std::string_view bytes;
    TokenId token;
  };

  static constexpr std::size_t kMaxTokenBytes = 0xFFFF;

  // Entries without bytes become tokens of the root; those over kMaxTokenBytes are left out.
  explicit ByteTrie(std::vector<Entry> entries = {});

  std::span<const TrieNode> nodes() const { return nodes_; }  // the root first
  // The tokens of the node and of all below it are [node.first_token, end_token(node)) of tokens().
  std::uint32_t end_token(const TrieNode& node) const {
    return node.next < nodes_.size() ? nodes_[node.next].first_token : static_cast<std::uint32_t>(tokens_.size());
  }
  // The bytes of all nodes below, or nullptr: the subtree is small or there are too many different sets.
  const ByteSet* bytes_below(const TrieNode& node) const {
    return node.below == kNotKept ? nullptr : &byte_sets_[node.below];
  }
  std::span<const TokenId> tokens() const { return tokens_; }  // in the order of the nodes
  std::size_t num_tokens() const { return tokens_.size(); }
  std::uint32_t max_depth() const { return max_depth_; }
  std::size_t bytes() const { return nodes_.size() * sizeof(TrieNode) + tokens_.size() * sizeof(TokenId); }

 private:
  static constexpr std::uint16_t kNotKept = 0xFFFF;

  std::vector<TrieNode> nodes_;
  std::vector<TokenId> tokens_;
  std::vector<ByteSet> byte_sets_;
  std::uint32_t max_depth_ = 0;
};

}  // namespace mlxr::grammar
