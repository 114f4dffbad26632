#include "core/runtime/grammar/tagged_text.h"

#include <algorithm>
#include <array>
#include <map>

#include <fmt/core.h>

#include "core/runtime/grammar/rules.h"

namespace mlxr {
namespace {

using grammar::ExpressionId;
using grammar::Graph;
using grammar::Rules;

struct Trigger {
  std::string bytes;
  ExpressionId section;  // what follows it
};

// Aho and Corasick's automaton (1975): where free text stands with regard to the triggers.
class TriggerAutomaton {
 public:
  explicit TriggerAutomaton(const std::vector<Trigger>& triggers) {
    nodes_.emplace_back();
    for (std::size_t i = 0; i < triggers.size(); ++i) {
      std::size_t at = 0;
      for (const char c : triggers[i].bytes) {
        const auto byte = static_cast<unsigned char>(c);
        if (nodes_[at].next[byte] < 0) {
          nodes_[at].next[byte] = static_cast<std::int32_t>(nodes_.size());
          nodes_.emplace_back();
        }
        at = static_cast<std::size_t>(nodes_[at].next[byte]);
      }
      nodes_[at].trigger = static_cast<std::int32_t>(i);
    }
    // Breadth first: a node that falls back goes on as its longest proper suffix does.
    std::vector<std::int32_t> queue{0};
    std::vector<std::int32_t> suffix(nodes_.size());
    for (std::size_t i = 0; i < queue.size(); ++i) {
      const auto node = static_cast<std::size_t>(queue[i]);
      for (std::size_t byte = 0; byte < 256; ++byte) {
        const std::int32_t fallback = node == 0 ? 0 : nodes_[static_cast<std::size_t>(suffix[node])].next[byte];
        std::int32_t& next = nodes_[node].next[byte];
        if (next < 0) {
          next = fallback;
        } else {
          suffix[static_cast<std::size_t>(next)] = fallback;
          queue.push_back(next);
        }
      }
    }
  }

  std::int32_t num_nodes() const { return static_cast<std::int32_t>(nodes_.size()); }

  // Adds the free text with `base` as its first state. Triggers lead to the state enter(trigger).
  template <class Enter>
  void add_to(Graph& graph, Rules& rules, std::int32_t base, Enter enter) const {
    for (std::int32_t node = 0; node < num_nodes(); ++node) {
      const auto& next = nodes_[static_cast<std::size_t>(node)].next;
      // The last bytes stand for tokens that end the generation.
      for (int low = 0; low < kTextBytes;) {
        int high = low;
        while (high + 1 < kTextBytes && next[static_cast<std::size_t>(high) + 1] == next[static_cast<std::size_t>(low)])
          ++high;
        add_edge(graph, rules, base, node, low, high, enter);
        low = high + 1;
      }
      add_edge(graph, rules, base, node, 0xFF, 0xFF, enter);
    }
  }

 private:
  static constexpr int kTextBytes = 0xFE;
  struct Node {
    std::array<std::int32_t, 256> next;
    std::int32_t trigger = -1;
    Node() { next.fill(-1); }
  };

  template <class Enter>
  void add_edge(Graph& graph, Rules& rules, std::int32_t base, std::int32_t node, int low, int high,
                Enter enter) const {
    const std::int32_t target = nodes_[static_cast<std::size_t>(node)].next[static_cast<std::size_t>(low)];
    const std::int32_t trigger = nodes_[static_cast<std::size_t>(target)].trigger;
    graph.edges.push_back({base + node,
                           rules.byte_range(static_cast<std::uint8_t>(low), static_cast<std::uint8_t>(high)),
                           trigger >= 0 ? enter(trigger) : base + target});
  }

  std::vector<Node> nodes_;
};

// The ways to write a mark; empty when it has none.
std::vector<std::string> spellings(const TextMark& mark) {
  std::vector<std::string> out;
  if (!mark.text.empty()) out.push_back(mark.text);
  if (mark.token.has_value()) out.push_back(grammar::token_spelling(*mark.token));
  return out;
}

ExpressionId mark_expression(Rules& rules, const TextMark& mark) {
  std::vector<ExpressionId> ways;
  for (const std::string& spelling : spellings(mark))
    ways.push_back(rules.literal(spelling));
  return ways.empty() ? rules.empty() : rules.choice(std::move(ways));
}

ExpressionId white_space(Rules& rules) {
  return rules.repeat(rules.chars(grammar::CharSet({{'\t', '\n'}, {'\r', '\r'}, {' ', ' '}})), 0, 8);
}

Status check_triggers(const std::vector<Trigger>& triggers) {
  constexpr std::size_t kMaxTriggerBytes = 16'384;
  std::size_t bytes = 0;
  for (const Trigger& a : triggers) {
    bytes += a.bytes.size();
    for (const Trigger& b : triggers)
      if (&a != &b && a.bytes.find(b.bytes) != std::string::npos)
        return invalid_argument(fmt::format("tags: the trigger '{}' is part of the trigger '{}'", b.bytes, a.bytes));
  }
  if (bytes > kMaxTriggerBytes)
    return resource_exhausted(fmt::format("tags: triggers of {} bytes, the limit is {}", bytes, kMaxTriggerBytes));
  return {};
}

// Adds the warnings of `content` to `warnings`.
ExpressionId adopt(Rules& rules, const Grammar& content, std::vector<std::string>& warnings) {
  warnings.insert(warnings.end(), content.warnings().begin(), content.warnings().end());
  return rules.rule(rules.adopt(content.rules()));
}

Result<std::shared_ptr<const Grammar>> finish(Rules rules, ExpressionId body, std::vector<std::string> warnings) {
  const grammar::RuleId root = rules.add_rule("text");
  rules.define(root, body);
  rules.set_root(root);
  return Grammar::from_rules(std::move(rules), std::move(warnings));
}

// Where each trigger leads: the rest of its tags.
Result<std::vector<Trigger>> triggers_of(std::span<const TextTag> tags, Rules& rules,
                                         std::vector<std::string>& warnings) {
  std::map<std::string, std::vector<ExpressionId>> sections;
  for (std::size_t i = 0; i < tags.size(); ++i) {
    const TextTag& tag = tags[i];
    if (tag.content == nullptr) return invalid_argument(fmt::format("tags: number {} has no content", i + 1));
    if (spellings(tag.begin).empty()) return invalid_argument(fmt::format("tags: number {} has no begin", i + 1));
    const ExpressionId content = adopt(rules, *tag.content, warnings);
    const ExpressionId end = mark_expression(rules, tag.end);
    if (!tag.begin.text.starts_with(tag.trigger))
      return invalid_argument(fmt::format("tags: the trigger of number {} does not begin it", i + 1));
    for (const std::string& begin : spellings(tag.begin)) {
      const bool shared = !tag.trigger.empty() && begin == tag.begin.text;
      const std::string trigger = shared ? tag.trigger : begin;
      sections[trigger].push_back(rules.sequence({rules.literal(begin.substr(trigger.size())), content, end}));
    }
  }
  std::vector<Trigger> out;
  for (auto& [bytes, ways] : sections)
    out.push_back({bytes, rules.choice(std::move(ways))});
  MLXR_RETURN_IF_ERROR(check_triggers(out));
  return out;
}

}  // namespace

Result<std::shared_ptr<const Grammar>> grammar_from_tags(std::span<const TextTag> tags, const TextTagOptions& options) {
  if (tags.empty()) return invalid_argument("tags: there are none");
  Rules rules(tags[0].content != nullptr ? tags[0].content->rules().limits() : GrammarLimits{});
  std::vector<std::string> warnings;
  MLXR_ASSIGN_OR_RETURN(const std::vector<Trigger> triggers, triggers_of(tags, rules, warnings));
  if (!options.free_text) {
    std::vector<ExpressionId> ways;
    for (const Trigger& trigger : triggers)
      ways.push_back(rules.sequence({rules.literal(trigger.bytes), trigger.section}));
    const ExpressionId tag = rules.choice(std::move(ways));
    const ExpressionId more =
        rules.repeat(rules.sequence({white_space(rules), tag}), 0, options.repeated ? grammar::kUnbounded : 0);
    const ExpressionId all = rules.sequence({tag, more});
    const ExpressionId body = options.required ? all : rules.optional(all);
    return finish(std::move(rules), body, std::move(warnings));
  }
  // The text before any tag, the text behind one, and the triggers.
  const TriggerAutomaton automaton(triggers);
  const std::int32_t num_nodes = automaton.num_nodes();
  const auto num_triggers = static_cast<std::int32_t>(triggers.size());
  const std::int32_t later = num_nodes;
  const std::int32_t entries = 2 * num_nodes;
  Graph graph;
  graph.num_states = entries + num_triggers;
  automaton.add_to(graph, rules, 0, [&](std::int32_t trigger) { return entries + trigger; });
  for (std::int32_t i = 0; i < num_triggers; ++i)
    graph.edges.push_back({entries + i, triggers[static_cast<std::size_t>(i)].section, later});
  if (options.repeated) automaton.add_to(graph, rules, later, [&](std::int32_t trigger) { return entries + trigger; });
  for (std::int32_t node = 0; node < num_nodes; ++node) {
    if (!options.required) graph.accepting.push_back(node);
    if (options.repeated || node == 0) graph.accepting.push_back(later + node);
  }
  const ExpressionId body = rules.graph(std::move(graph));
  return finish(std::move(rules), body, std::move(warnings));
}

Result<std::shared_ptr<const Grammar>> grammar_after_mark(const TextMark& mark,
                                                          const std::shared_ptr<const Grammar>& grammar) {
  Rules rules(grammar->rules().limits());
  std::vector<std::string> warnings;
  const ExpressionId content = adopt(rules, *grammar, warnings);
  const ExpressionId section = rules.sequence({white_space(rules), content});
  std::vector<Trigger> triggers;
  for (const std::string& spelling : spellings(mark))
    triggers.push_back({spelling, section});
  if (triggers.empty()) return invalid_argument("mark: it has neither text nor token");
  MLXR_RETURN_IF_ERROR(check_triggers(triggers));
  const TriggerAutomaton automaton(triggers);
  const std::int32_t entry = automaton.num_nodes();
  Graph graph;
  graph.num_states = entry + 2;
  automaton.add_to(graph, rules, 0, [&](std::int32_t) { return entry; });
  graph.edges.push_back({entry, section, entry + 1});
  graph.accepting = {entry + 1};
  const ExpressionId body = rules.graph(std::move(graph));
  return finish(std::move(rules), body, std::move(warnings));
}

}  // namespace mlxr
