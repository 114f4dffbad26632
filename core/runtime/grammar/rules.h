#pragma once
// What every front end (GBNF, regular expression, JSON Schema, choices, tags) produces: rules whose right sides are
// expressions over bytes, characters, tokens and other rules. rule_automata.h makes automata of them.
//
// Expressions are numbers into one table and are never changed once made, so that they may be shared. A builder that
// passes a limit remembers it; status() tells, and what is built meanwhile is harmless.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/runtime/grammar/char_set.h"
#include "core/runtime/grammar/limits.h"

namespace mlxr::grammar {

using ExpressionId = std::int32_t;
using RuleId = std::int32_t;

inline constexpr int kUnbounded = -1;

enum class ExpressionKind : std::uint8_t {
  kNever,      // matches nothing
  kLiteral,    // the bytes of `text`; the empty text when there are none
  kChars,      // one character of `chars`, as UTF-8
  kByteRange,  // one byte from `low` to `high`
  kSequence,   // `parts` one after the other
  kChoice,     // one of `parts`
  kRepeat,     // parts[0] at least `low` and at most `high` times; kUnbounded: any number
  kRule,       // what the rule `low` matches
  kGraph,      // a path through `graph` from state 0 to an accepting one
};

struct GraphEdge {
  std::int32_t from;
  ExpressionId label;
  std::int32_t to;
};

// An automaton whose edges read expressions.
struct Graph {
  std::int32_t num_states = 1;
  std::vector<GraphEdge> edges;
  std::vector<std::int32_t> accepting;
};

struct Expression {
  ExpressionKind kind = ExpressionKind::kNever;
  int low = 0;
  int high = 0;
  std::int32_t payload = -1;  // index of the text, the set or the graph
  std::vector<ExpressionId> parts;
};

// A special token stands for itself in a grammar as a byte that no text has, followed by its id: "\xFF[123]", or
// "\xFE[123]" when it ends the generation. TokenTrie spells tokens the same way.
std::string token_spelling(std::int32_t token, bool ends_generation = false);

class Rules {
 public:
  explicit Rules(const GrammarLimits& limits = {}) : limits_(limits) {}

  ExpressionId never();
  ExpressionId empty() { return literal(""); }
  ExpressionId literal(std::string_view bytes);
  ExpressionId chars(const CharSet& set);
  ExpressionId byte_range(std::uint8_t low, std::uint8_t high);
  ExpressionId sequence(std::vector<ExpressionId> parts);
  ExpressionId choice(std::vector<ExpressionId> parts);
  ExpressionId optional(ExpressionId part) { return repeat(part, 0, 1); }
  // Requires 0 <= low and low <= high or high == kUnbounded. Counts over a few hundred become calls of rules.
  ExpressionId repeat(ExpressionId part, int low, int high);
  ExpressionId graph(Graph graph);
  ExpressionId rule(RuleId rule);

  RuleId add_rule(std::string name);  // matches nothing until defined
  void define(RuleId rule, ExpressionId body);
  void set_root(RuleId rule) { root_ = rule; }
  // Takes over the rules of `other`; the answer is its root.
  RuleId adopt(const Rules& other);

  RuleId root() const { return root_; }
  std::size_t num_rules() const { return bodies_.size(); }
  std::size_t num_expressions() const { return expressions_.size(); }
  ExpressionId body(RuleId rule) const { return bodies_[static_cast<std::size_t>(rule)]; }
  const std::string& name(RuleId rule) const { return names_[static_cast<std::size_t>(rule)]; }
  const Expression& at(ExpressionId id) const { return expressions_[static_cast<std::size_t>(id)]; }
  const std::string& text_of(const Expression& e) const { return texts_[static_cast<std::size_t>(e.payload)]; }
  const CharSet& chars_of(const Expression& e) const { return sets_[static_cast<std::size_t>(e.payload)]; }
  const Graph& graph_of(const Expression& e) const { return graphs_[static_cast<std::size_t>(e.payload)]; }

  const GrammarLimits& limits() const { return limits_; }
  const Status& status() const { return status_; }
  void fail(Status status) {
    if (status_.ok()) status_ = std::move(status);
  }

 private:
  ExpressionId add(Expression expression);
  bool is_byte(ExpressionId id) const;  // and nothing else
  // Whether the empty text does not match; false when that does not show.
  bool surely_reads(ExpressionId id, int max_depth) const;
  ExpressionId exactly(ExpressionId part, int count);
  ExpressionId at_most(ExpressionId part, int count);

  GrammarLimits limits_;
  Status status_;
  std::vector<Expression> expressions_;
  std::vector<std::string> texts_;
  std::vector<CharSet> sets_;
  std::vector<Graph> graphs_;
  std::vector<ExpressionId> bodies_;
  std::vector<std::string> names_;
  RuleId root_ = -1;
  ExpressionId never_ = -1;
};

}  // namespace mlxr::grammar
