#include "core/runtime/grammar/byte_trie.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace mlxr::grammar {
namespace {

// Below so many nodes a subtree is walked sooner than asked about.
constexpr std::size_t kSmallSubtree = 4;

}  // namespace

ByteTrie::ByteTrie(std::vector<Entry> entries) {
  std::erase_if(entries, [](const Entry& entry) { return entry.bytes.size() > kMaxTokenBytes; });
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.bytes != b.bytes ? a.bytes < b.bytes : a.token < b.token; });
  nodes_.push_back({0, 0, 0, 0, 0, 0, kNotKept});
  std::vector<std::uint32_t> path{0};  // nodes from the root to the last one
  std::vector<ByteSet> below(1);       // by node of the path
  std::map<std::tuple<std::uint64_t, std::uint64_t, bool>, std::uint16_t> known;
  const auto keep = [&](TrieNode& node, const ByteSet& set) {
    if (byte_sets_.size() == kNotKept && !known.contains({set.low, set.high, set.wide})) return;
    const auto next = static_cast<std::uint16_t>(byte_sets_.size());
    const auto [place, added] = known.try_emplace({set.low, set.high, set.wide}, next);
    if (added) byte_sets_.push_back(set);
    node.below = place->second;
  };
  std::string_view last;
  const auto close_to = [&](std::size_t depth) {
    for (; path.size() > depth + 1; path.pop_back(), below.pop_back()) {
      TrieNode& node = nodes_[path.back()];
      TrieNode& parent = nodes_[path[path.size() - 2]];
      parent.height = static_cast<std::uint8_t>(std::max<int>(parent.height, std::min(node.height + 1, 255)));
      node.next = static_cast<std::uint32_t>(nodes_.size());
      if (node.next - path.back() > kSmallSubtree) keep(node, below.back());
      ByteSet& of_parent = below[below.size() - 2];
      of_parent.add(below.back());
      of_parent.add(node.byte);
    }
  };
  for (const Entry& entry : entries) {
    const auto differs = std::mismatch(last.begin(), last.end(), entry.bytes.begin(), entry.bytes.end());
    close_to(static_cast<std::size_t>(differs.first - last.begin()));
    const auto first_token = static_cast<std::uint32_t>(tokens_.size());
    for (std::size_t depth = path.size(); depth <= entry.bytes.size(); ++depth) {
      path.push_back(static_cast<std::uint32_t>(nodes_.size()));
      below.emplace_back();
      nodes_.push_back({0, first_token, 0, static_cast<std::uint16_t>(depth),
                        static_cast<std::uint8_t>(entry.bytes[depth - 1]), 0, kNotKept});
    }
    tokens_.push_back(entry.token);
    ++nodes_[path.back()].num_own;
    max_depth_ = std::max(max_depth_, static_cast<std::uint32_t>(entry.bytes.size()));
    last = entry.bytes;
  }
  close_to(0);
  nodes_[0].next = static_cast<std::uint32_t>(nodes_.size());
  keep(nodes_[0], below[0]);
}

}  // namespace mlxr::grammar
