#include "core/runtime/grammar/rules.h"

#include <algorithm>

#include <fmt/core.h>

#include "core/base/check.h"

namespace mlxr::grammar {
namespace {

// Up to this count (twice it, for what may be left out) a repetition is copies of its part, when that is one byte long
// or otherwise.
constexpr int kByteCopies = 128;
constexpr int kCopies = 16;
// Up to this count it is calls of a rule, one state each. Masks are shared between them (merged_states.h).
constexpr int kCalls = 4096;
// Larger counts, and those of parts that may match the empty text, become calls of a rule that matches so many.
constexpr int kChunk = 128;
constexpr int kMaxReadDepth = 16;

}  // namespace

std::string token_spelling(std::int32_t token, bool ends_generation) {
  return fmt::format("{}[{}]", ends_generation ? '\xFE' : '\xFF', token);
}

ExpressionId Rules::add(Expression expression) {
  if (expressions_.size() >= limits_.max_expressions) {
    fail(resource_exhausted(fmt::format("the grammar has more than {} expressions", limits_.max_expressions)));
    return never();
  }
  expressions_.push_back(std::move(expression));
  return static_cast<ExpressionId>(expressions_.size() - 1);
}

ExpressionId Rules::never() {
  if (never_ < 0) {
    expressions_.emplace_back();
    never_ = static_cast<ExpressionId>(expressions_.size() - 1);
  }
  return never_;
}

ExpressionId Rules::literal(std::string_view bytes) {
  texts_.emplace_back(bytes);
  return add({.kind = ExpressionKind::kLiteral, .payload = static_cast<std::int32_t>(texts_.size() - 1), .parts = {}});
}

ExpressionId Rules::chars(const CharSet& set) {
  if (set.empty()) return never();
  sets_.push_back(set);
  return add({.kind = ExpressionKind::kChars, .payload = static_cast<std::int32_t>(sets_.size() - 1), .parts = {}});
}

ExpressionId Rules::byte_range(std::uint8_t low, std::uint8_t high) {
  return add({.kind = ExpressionKind::kByteRange, .low = low, .high = high, .parts = {}});
}

ExpressionId Rules::sequence(std::vector<ExpressionId> parts) {
  if (parts.size() == 1) return parts[0];
  if (parts.empty()) return empty();
  return add({.kind = ExpressionKind::kSequence, .parts = std::move(parts)});
}

ExpressionId Rules::choice(std::vector<ExpressionId> parts) {
  if (parts.size() == 1) return parts[0];
  if (parts.empty()) return never();
  return add({.kind = ExpressionKind::kChoice, .parts = std::move(parts)});
}

ExpressionId Rules::repeat(ExpressionId part, int low, int high) {
  MLXR_CHECK(low >= 0 && (high == kUnbounded || high >= low), "counts of a repetition are in order");
  if (low > limits_.max_repeat || high > limits_.max_repeat) {
    fail(invalid_argument(
        fmt::format("a repetition of {} is over the limit of {}", std::max(low, high), limits_.max_repeat)));
    return never();
  }
  if (high == 0) return empty();
  if (low == 1 && high == 1) return part;
  const int copies = is_byte(part) ? kByteCopies : kCopies;
  if (low <= copies && high <= 2 * copies)
    return add({.kind = ExpressionKind::kRepeat, .low = low, .high = high, .parts = {part}});

  const bool reads = surely_reads(part, kMaxReadDepth);
  if (!reads && low <= kChunk && high <= 2 * kChunk)
    return add({.kind = ExpressionKind::kRepeat, .low = low, .high = high, .parts = {part}});

  // Shared by every copy.
  const RuleId one = add_rule("repeated");
  define(one, part);
  if (reads && low <= kCalls && high <= 2 * kCalls)
    return add({.kind = ExpressionKind::kRepeat, .low = low, .high = high, .parts = {rule(one)}});
  const ExpressionId item = at(part).kind == ExpressionKind::kSequence ? rule(one) : part;
  const int optional_count = high == kUnbounded ? kUnbounded : high - low;
  std::vector<ExpressionId> parts;
  if (low > kChunk) {
    const RuleId chunk = add_rule("repeated many times");
    define(chunk, exactly(item, kChunk));
    parts.push_back(exactly(rule(chunk), low / kChunk));
    low %= kChunk;
  }
  if (low > 0) parts.push_back(exactly(item, low));
  if (optional_count == kUnbounded)
    parts.push_back(add({.kind = ExpressionKind::kRepeat, .low = 0, .high = kUnbounded, .parts = {item}}));
  else
    parts.push_back(at_most(item, optional_count));
  return sequence(std::move(parts));
}

bool Rules::is_byte(ExpressionId id) const {
  const Expression& e = at(id);
  return e.kind == ExpressionKind::kByteRange ||
         (e.kind == ExpressionKind::kChars && chars_of(e).ranges().back().high < 0x80);
}

bool Rules::surely_reads(ExpressionId id, int max_depth) const {
  if (max_depth == 0) return false;
  const Expression& e = at(id);
  const auto reads = [&](ExpressionId part) { return surely_reads(part, max_depth - 1); };
  switch (e.kind) {
    case ExpressionKind::kLiteral:
      return !text_of(e).empty();
    case ExpressionKind::kNever:
    case ExpressionKind::kChars:
    case ExpressionKind::kByteRange:
      return true;
    case ExpressionKind::kSequence:
      return std::any_of(e.parts.begin(), e.parts.end(), reads);
    case ExpressionKind::kChoice:
      return std::all_of(e.parts.begin(), e.parts.end(), reads);
    case ExpressionKind::kRepeat:
      return e.low > 0 && reads(e.parts[0]);
    case ExpressionKind::kRule:  // may be undefined yet
    case ExpressionKind::kGraph:
      return false;
  }
  return false;
}

ExpressionId Rules::exactly(ExpressionId part, int count) {
  return add({.kind = ExpressionKind::kRepeat, .low = count, .high = count, .parts = {part}});
}

// {0,count} = chunk{0,k-1} {0,kChunk-1} or chunk{k} {0,rest}, where count = k * kChunk + rest.
ExpressionId Rules::at_most(ExpressionId part, int count) {
  if (count == 0) return empty();
  if (count <= 2 * kChunk) return add({.kind = ExpressionKind::kRepeat, .low = 0, .high = count, .parts = {part}});
  const int chunks = count / kChunk;
  const RuleId chunk = add_rule("repeated many times");
  define(chunk, exactly(part, kChunk));
  const RuleId few = add_rule("repeated a few times");
  define(few, add({.kind = ExpressionKind::kRepeat, .low = 0, .high = kChunk - 1, .parts = {part}}));
  Graph graph;
  graph.num_states = chunks + 3;
  const std::int32_t few_end = chunks + 1;
  const std::int32_t rest_end = chunks + 2;
  for (std::int32_t i = 0; i < chunks; ++i) {
    graph.edges.push_back({i, rule(chunk), i + 1});
    graph.edges.push_back({i, rule(few), few_end});
  }
  graph.edges.push_back({chunks, at_most(part, count % kChunk), rest_end});
  graph.accepting = {few_end, rest_end};
  return this->graph(std::move(graph));
}

ExpressionId Rules::graph(Graph graph) {
  graphs_.push_back(std::move(graph));
  return add({.kind = ExpressionKind::kGraph, .payload = static_cast<std::int32_t>(graphs_.size() - 1), .parts = {}});
}

ExpressionId Rules::rule(RuleId rule) {
  return add({.kind = ExpressionKind::kRule, .low = rule, .parts = {}});
}

RuleId Rules::add_rule(std::string name) {
  const ExpressionId nothing = never();
  bodies_.push_back(nothing);
  names_.push_back(std::move(name));
  return static_cast<RuleId>(bodies_.size() - 1);
}

void Rules::define(RuleId rule, ExpressionId body) {
  bodies_[static_cast<std::size_t>(rule)] = body;
}

RuleId Rules::adopt(const Rules& other) {
  if (!other.status().ok()) fail(other.status());
  const auto expression_base = static_cast<ExpressionId>(expressions_.size());
  const auto rule_base = static_cast<RuleId>(bodies_.size());
  if (expressions_.size() + other.expressions_.size() > limits_.max_expressions) {
    fail(resource_exhausted(fmt::format("the grammar has more than {} expressions", limits_.max_expressions)));
    return add_rule("too large");
  }
  for (Expression e : other.expressions_) {
    for (ExpressionId& part : e.parts)
      part += expression_base;
    if (e.kind == ExpressionKind::kRule) e.low += rule_base;
    if (e.kind == ExpressionKind::kLiteral) e.payload += static_cast<std::int32_t>(texts_.size());
    if (e.kind == ExpressionKind::kChars) e.payload += static_cast<std::int32_t>(sets_.size());
    if (e.kind == ExpressionKind::kGraph) e.payload += static_cast<std::int32_t>(graphs_.size());
    expressions_.push_back(std::move(e));
  }
  texts_.insert(texts_.end(), other.texts_.begin(), other.texts_.end());
  sets_.insert(sets_.end(), other.sets_.begin(), other.sets_.end());
  for (Graph graph : other.graphs_) {
    for (GraphEdge& edge : graph.edges)
      edge.label += expression_base;
    graphs_.push_back(std::move(graph));
  }
  for (const ExpressionId body : other.bodies_)
    bodies_.push_back(body + expression_base);
  names_.insert(names_.end(), other.names_.begin(), other.names_.end());
  return other.root_ + rule_base;
}

}  // namespace mlxr::grammar
