#pragma once
// Tarjan's strongly connected components (1972), without recursion.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace mlxr::grammar {

struct StrongComponents {
  std::vector<std::size_t> order;      // every node, its successors in other components first
  std::vector<std::size_t> component;  // by node
  std::vector<bool> recursive;         // by node: it can reach itself
};

// for_each_successor(node, visit) calls visit(successor).
template <class ForEachSuccessor>
StrongComponents strong_components(std::size_t num_nodes, ForEachSuccessor for_each_successor) {
  constexpr std::size_t kUnseen = std::numeric_limits<std::size_t>::max();
  struct Frame {
    std::size_t node;
    std::vector<std::size_t> successors;
    std::size_t next;
  };
  StrongComponents out;
  out.component.assign(num_nodes, kUnseen);
  out.recursive.assign(num_nodes, false);
  std::vector<std::size_t> number(num_nodes, kUnseen);
  std::vector<std::size_t> lowest(num_nodes);
  std::vector<std::size_t> open;
  std::vector<Frame> frames;
  std::size_t counter = 0;
  std::size_t num_components = 0;
  const auto enter = [&](std::size_t node) {
    number[node] = lowest[node] = counter++;
    open.push_back(node);
    Frame frame{node, {}, 0};
    for_each_successor(node, [&](std::size_t successor) { frame.successors.push_back(successor); });
    frames.push_back(std::move(frame));
  };
  for (std::size_t root = 0; root < num_nodes; ++root) {
    if (number[root] != kUnseen) continue;
    enter(root);
    while (!frames.empty()) {
      Frame& frame = frames.back();
      const std::size_t node = frame.node;
      if (frame.next < frame.successors.size()) {
        const std::size_t successor = frame.successors[frame.next++];
        if (successor == node) out.recursive[node] = true;
        if (number[successor] == kUnseen)
          enter(successor);
        else if (out.component[successor] == kUnseen)
          lowest[node] = std::min(lowest[node], number[successor]);
        continue;
      }
      frames.pop_back();
      if (!frames.empty()) {
        std::size_t& parent = lowest[frames.back().node];
        parent = std::min(parent, lowest[node]);
      }
      if (lowest[node] != number[node]) continue;
      const bool many = open.back() != node;
      while (true) {
        const std::size_t member = open.back();
        open.pop_back();
        out.component[member] = num_components;
        out.order.push_back(member);
        if (many) out.recursive[member] = true;
        if (member == node) break;
      }
      ++num_components;
    }
  }
  return out;
}

}  // namespace mlxr::grammar
