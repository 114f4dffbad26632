#pragma once
// Making expression nodes with their depth counted, for the two files of the expression parser.

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "core/runtime/template/budget.h"
#include "core/runtime/template/parser_state.h"

namespace mlxr::jinja {

inline int depth_of(const ExpressionPtr& node) {
  return node == nullptr ? 0 : node->depth;
}

inline int depth_of(const CallSyntax& call) {
  int depth = std::max(depth_of(call.more_positional), depth_of(call.more_named));
  for (const auto& item : call.positional)
    depth = std::max(depth, depth_of(item));
  for (const auto& [name, item] : call.named)
    depth = std::max(depth, depth_of(item));
  return depth;
}

inline int depth_of(const std::vector<ExpressionPtr>& nodes) {
  int depth = 0;
  for (const auto& node : nodes)
    depth = std::max(depth, depth_of(node));
  return depth;
}

template <class Op>
int depth_of(const std::vector<std::pair<Op, ExpressionPtr>>& nodes) {
  int depth = 0;
  for (const auto& [op, node] : nodes)
    depth = std::max(depth, depth_of(node));
  return depth;
}

// A node over children of which the deepest has `depth` levels.
template <class Node>
Result<ExpressionPtr> ExpressionParser::make(Position position, int depth, Node node) {
  if (depth >= kMaxSyntaxDepth) {
    return error_at(position, resource_exhausted("the expression is nested too deeply"));
  }
  auto made = std::make_unique<Expression>();
  made->position = position;
  made->depth = depth + 1;
  made->node = std::move(node);
  return made;
}

}  // namespace mlxr::jinja
