#include "core/runtime/grammar/byte_trie.h"

#include <algorithm>

namespace mlxr::grammar {

ByteTrie::ByteTrie(std::vector<Entry> entries) {
  std::erase_if(entries, [](const Entry& entry) { return entry.bytes.size() > kMaxTokenBytes; });
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.bytes != b.bytes ? a.bytes < b.bytes : a.token < b.token; });
  nodes_.push_back({0, 0, 0, 0, 0, 0});
  std::vector<std::uint32_t> path{0};  // nodes from the root to the last one
  std::string_view last;
  const auto close_to = [&](std::size_t depth) {
    for (; path.size() > depth + 1; path.pop_back()) {
      const TrieNode& node = nodes_[path.back()];
      TrieNode& parent = nodes_[path[path.size() - 2]];
      parent.height = static_cast<std::uint8_t>(std::max<int>(parent.height, std::min(node.height + 1, 255)));
      nodes_[path.back()].next = static_cast<std::uint32_t>(nodes_.size());
    }
  };
  for (const Entry& entry : entries) {
    const auto differs = std::mismatch(last.begin(), last.end(), entry.bytes.begin(), entry.bytes.end());
    close_to(static_cast<std::size_t>(differs.first - last.begin()));
    const auto first_token = static_cast<std::uint32_t>(tokens_.size());
    for (std::size_t depth = path.size(); depth <= entry.bytes.size(); ++depth) {
      path.push_back(static_cast<std::uint32_t>(nodes_.size()));
      nodes_.push_back(
          {0, first_token, 0, static_cast<std::uint16_t>(depth), static_cast<std::uint8_t>(entry.bytes[depth - 1]), 0});
    }
    tokens_.push_back(entry.token);
    ++nodes_[path.back()].num_own;
    max_depth_ = std::max(max_depth_, static_cast<std::uint32_t>(entry.bytes.size()));
    last = entry.bytes;
  }
  close_to(0);
  nodes_[0].next = static_cast<std::uint32_t>(nodes_.size());
}

}  // namespace mlxr::grammar
