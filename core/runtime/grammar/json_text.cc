#include "core/runtime/grammar/json_text.h"

#include <string>
#include <vector>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "core/base/utf8.h"

namespace mlxr::grammar {
namespace {

struct ShortEscape {
  char character;
  const char* written;
};
constexpr ShortEscape kShortEscapes[] = {{'"', "\\\""}, {'\\', "\\\\"}, {'\b', "\\b"}, {'\f', "\\f"},
                                         {'\n', "\\n"}, {'\r', "\\r"},  {'\t', "\\t"}};

CharSet plain_chars() {
  return CharSet({{0x20, '"' - 1}, {'"' + 1, '\\' - 1}, {'\\' + 1, kMaxCodePoint}});
}

const ShortEscape* short_escape(char32_t c) {
  for (const ShortEscape& escape : kShortEscapes)
    if (static_cast<char32_t>(escape.character) == c) return &escape;
  return nullptr;
}

}  // namespace

ExpressionId automaton_graph(Rules& rules, const CharAutomaton& automaton,
                             const std::function<ExpressionId(const CharSet&)>& chars) {
  Graph graph;
  graph.num_states = static_cast<std::int32_t>(automaton.states().size());
  for (std::int32_t i = 0; i < graph.num_states; ++i) {
    const CharAutomaton::State& state = automaton.states()[static_cast<std::size_t>(i)];
    if (state.accepting) graph.accepting.push_back(i);
    // One label for all characters that lead to the same state.
    std::vector<std::pair<std::int32_t, std::vector<CodePointRange>>> targets;
    for (const CharAutomaton::Edge& edge : state.edges) {
      auto found = targets.begin();
      while (found != targets.end() && found->first != edge.target)
        ++found;
      if (found == targets.end()) found = targets.insert(found, {edge.target, {}});
      found->second.push_back({edge.low, edge.high});
    }
    for (auto& [target, ranges] : targets)
      graph.edges.push_back({i, chars(CharSet(std::move(ranges))), target});
  }
  return rules.graph(std::move(graph));
}

template <class Make>
ExpressionId JsonText::once(RuleId& rule, const char* name, Make make) {
  if (rule < 0) {
    rule = rules_.add_rule(name);
    const RuleId made = rule;
    rules_.define(made, make());
  }
  return rules_.rule(rule);
}

ExpressionId JsonText::space() {
  if (whitespace_ == JsonWhitespace::kCompact) return rules_.empty();
  return once(space_, "space", [this] {
    const ExpressionId indent = rules_.repeat(rules_.chars(CharSet({{' ', ' '}, {'\t', '\t'}})), 0, 20);
    return rules_.choice(
        {rules_.empty(), rules_.literal(" "), rules_.sequence({rules_.repeat(rules_.literal("\n"), 1, 2), indent})});
  });
}

ExpressionId JsonText::string_char() {
  return once(char_, "character", [this] {
    const ExpressionId hex = rules_.chars(CharSet({{'0', '9'}, {'A', 'F'}, {'a', 'f'}}));
    const auto one_of = [this](std::string_view signs) {
      std::vector<CodePointRange> ranges;
      for (const char c : signs)
        ranges.push_back({static_cast<char32_t>(c), static_cast<char32_t>(c)});
      return rules_.chars(CharSet(std::move(ranges)));
    };
    const ExpressionId d = one_of("dD");
    // Halves of surrogate pairs only as pairs.
    const ExpressionId code = rules_.choice(
        {rules_.sequence({one_of("0123456789abcefABCEF"), hex, hex, hex}),
         rules_.sequence({d, one_of("01234567"), hex, hex}),
         rules_.sequence({d, one_of("89abAB"), hex, hex, rules_.literal("\\u"), d, one_of("cdefCDEF"), hex, hex})});
    const ExpressionId escape = rules_.sequence(
        {rules_.literal("\\"), rules_.choice({one_of("\"\\/bfnrt"), rules_.sequence({rules_.literal("u"), code})})});
    return rules_.choice({rules_.chars(plain_chars()), escape});
  });
}

ExpressionId JsonText::any_string() {
  return once(string_, "string", [this] {
    // The body and not a call of it: what follows a character is the same string.
    string_char();
    const ExpressionId body = rules_.body(char_);
    return rules_.sequence({rules_.literal("\""), rules_.repeat(body, 0, kUnbounded), rules_.literal("\"")});
  });
}

ExpressionId JsonText::string_of_length(int min, int max) {
  string_char();
  const ExpressionId body = rules_.body(char_);
  return rules_.sequence({rules_.literal("\""), rules_.repeat(body, min, max), rules_.literal("\"")});
}

ExpressionId JsonText::any_integer() {
  return once(integer_, "integer", [this] {
    const ExpressionId digits = rules_.repeat(rules_.chars(CharSet::of('0', '9')), 0, kUnbounded);
    return rules_.sequence(
        {rules_.optional(rules_.literal("-")),
         rules_.choice({rules_.literal("0"), rules_.sequence({rules_.chars(CharSet::of('1', '9')), digits})})});
  });
}

ExpressionId JsonText::any_number() {
  return once(number_, "number", [this] {
    const ExpressionId digits = rules_.repeat(rules_.chars(CharSet::of('0', '9')), 1, kUnbounded);
    const ExpressionId sign = rules_.optional(rules_.chars(CharSet({{'+', '+'}, {'-', '-'}})));
    const ExpressionId exponent = rules_.sequence({rules_.chars(CharSet({{'E', 'E'}, {'e', 'e'}})), sign, digits});
    return rules_.sequence(
        {any_integer(), rules_.optional(rules_.sequence({rules_.literal("."), digits})), rules_.optional(exponent)});
  });
}

ExpressionId JsonText::boolean() {
  return rules_.choice({rules_.literal("true"), rules_.literal("false")});
}

ExpressionId JsonText::null() {
  return rules_.literal("null");
}

ExpressionId JsonText::any_value() {
  return once(value_, "value", [this] {
    return rules_.choice({any_object(), any_array(), any_string(), any_number(), boolean(), null()});
  });
}

ExpressionId JsonText::comma() {
  return rules_.sequence({rules_.literal(","), space()});
}

ExpressionId JsonText::member(ExpressionId key, ExpressionId value) {
  return rules_.sequence({key, rules_.literal(":"), space(), value});
}

ExpressionId JsonText::enclosed(std::string_view open, ExpressionId inside, bool may_be_empty, std::string_view close) {
  const ExpressionId filled = rules_.sequence({inside, space()});
  return rules_.sequence(
      {rules_.literal(open), space(), may_be_empty ? rules_.optional(filled) : filled, rules_.literal(close)});
}

ExpressionId JsonText::list_of(ExpressionId item) {
  return rules_.sequence({item, rules_.repeat(rules_.sequence({comma(), item}), 0, kUnbounded)});
}

ExpressionId JsonText::any_object() {
  return once(object_, "object",
              [this] { return enclosed("{", list_of(member(any_string(), any_value())), true, "}"); });
}

ExpressionId JsonText::any_array() {
  return once(array_, "array", [this] { return enclosed("[", list_of(any_value()), true, "]"); });
}

ExpressionId JsonText::written(const CharSet& set) {
  std::vector<ExpressionId> ways;
  const CharSet plain = set.common(plain_chars());
  if (!plain.empty()) ways.push_back(rules_.chars(plain));
  const CharSet escaped = set.common(plain_chars().complement());
  for (const CodePointRange& range : escaped.ranges()) {
    for (char32_t c = range.low; c <= range.high; ++c) {
      if (const ShortEscape* escape = short_escape(c); escape != nullptr) {
        ways.push_back(rules_.literal(escape->written));
        continue;
      }
      ways.push_back(rules_.literal(fmt::format("\\u{:04x}", static_cast<unsigned>(c))));
      if ((c & 0xFU) >= 10) ways.push_back(rules_.literal(fmt::format("\\u{:04X}", static_cast<unsigned>(c))));
    }
  }
  return rules_.choice(std::move(ways));
}

ExpressionId JsonText::string_matching(const CharAutomaton& automaton) {
  const ExpressionId inside = automaton_graph(rules_, automaton, [this](const CharSet& set) { return written(set); });
  return rules_.sequence({rules_.literal("\""), inside, rules_.literal("\"")});
}

ExpressionId JsonText::text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (const ShortEscape* escape = short_escape(static_cast<unsigned char>(c)); escape != nullptr)
      out += escape->written;
    else if (static_cast<unsigned char>(c) < 0x20)
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    else
      out += c;
  }
  return rules_.literal(out + "\"");
}

ExpressionId JsonText::value(const nlohmann::ordered_json& value) {
  if (value.is_string()) return text(value.get_ref<const std::string&>());
  if (!value.is_structured()) return rules_.literal(value.dump());
  std::vector<ExpressionId> parts;
  for (auto item = value.begin(); item != value.end(); ++item) {
    if (!parts.empty()) parts.push_back(comma());
    parts.push_back(value.is_object() ? member(text(item.key()), this->value(*item)) : this->value(*item));
  }
  const ExpressionId inside = rules_.sequence(std::move(parts));
  return value.is_object() ? enclosed("{", value.empty() ? rules_.never() : inside, value.empty(), "}")
                           : enclosed("[", value.empty() ? rules_.never() : inside, value.empty(), "]");
}

}  // namespace mlxr::grammar
