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
  std::span<const TokenId> own_tokens(const TrieNode& node) const {
    return std::span(tokens_).subspan(node.first_token, node.num_own);
  }
  // The tokens of the node and of all below it.
  std::span<const TokenId> tokens_below(const TrieNode& node) const {
    const std::size_t end = node.next < nodes_.size() ? nodes_[node.next].first_token : tokens_.size();
    return std::span(tokens_).subspan(node.first_token, end - node.first_token);
  }
  std::size_t num_tokens() const { return tokens_.size(); }
  std::uint32_t max_depth() const { return max_depth_; }
  std::size_t bytes() const { return nodes_.size() * sizeof(TrieNode) + tokens_.size() * sizeof(TokenId); }

 private:
  std::vector<TrieNode> nodes_;
  std::vector<TokenId> tokens_;
  std::uint32_t max_depth_ = 0;
};

}  // namespace mlxr::grammar
