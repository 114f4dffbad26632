// Objects and arrays of SchemaCompiler.

#include <algorithm>

#include <fmt/core.h>

#include "core/runtime/grammar/schema_compiler.h"

namespace mlxr::grammar {
namespace {

// Patterns of property names split the other keys into up to 2^n regions.
constexpr std::size_t kMaxPatterns = 5;
constexpr std::int64_t kMaxCountedProperties = 200;

const SchemaRef* find_property(const ObjectPart& part, const std::string& name) {
  const auto found = std::find_if(part.properties.begin(), part.properties.end(),
                                  [&](const auto& property) { return property.first == name; });
  return found == part.properties.end() ? nullptr : &found->second;
}

bool is_false(const SchemaRef& ref) {
  return ref.node->is_boolean() && !ref.node->get<bool>();
}

}  // namespace

Result<ExpressionId> SchemaCompiler::object(const Shape& shape) {
  if (shape.objects.empty() && shape.required.empty() && shape.property_names.empty() && shape.min_properties == 0 &&
      !shape.max_properties.has_value())
    return json_.any_object();
  std::vector<std::string> names;
  const auto add_name = [&](const std::string& name) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  };
  for (const ObjectPart& part : shape.objects)
    for (const auto& [name, schema] : part.properties)
      add_name(name);
  for (const std::string& name : shape.required)
    add_name(name);

  MLXR_ASSIGN_OR_RETURN(const std::optional<CharAutomaton> allowed, name_automaton(shape));
  std::vector<ExpressionId> declared;
  std::vector<bool> required;
  for (const std::string& name : names) {
    MLXR_ASSIGN_OR_RETURN(const Refs refs, property_schemas(shape, name));
    const bool possible =
        std::none_of(refs.begin(), refs.end(), is_false) && (!allowed.has_value() || allowed->matches(name));
    declared.push_back(possible ? json_.member(json_.text(name), rule_for(refs)) : rules_.never());
    required.push_back(std::find(shape.required.begin(), shape.required.end(), name) != shape.required.end());
  }
  std::vector<ExpressionId> others;
  MLXR_ASSIGN_OR_RETURN(const std::vector<KeyRegion> regions, other_keys(shape, names, allowed));
  for (const KeyRegion& region : regions)
    others.push_back(json_.member(region.key, rule_for(region.refs)));
  const std::int64_t counted = std::max(shape.min_properties, shape.max_properties.value_or(0));
  if (counted > kMaxCountedProperties)
    return unsupported(
        fmt::format("schema: a minProperties or maxProperties over {} is not supported", kMaxCountedProperties));
  return members(shape, declared, required, others);
}

Result<SchemaCompiler::Refs> SchemaCompiler::property_schemas(const Shape& shape, const std::string& name) {
  Refs refs;
  for (const ObjectPart& part : shape.objects) {
    bool known = false;
    if (const SchemaRef* schema = find_property(part, name); schema != nullptr) {
      refs.push_back(*schema);
      known = true;
    }
    for (const auto& [pattern, schema] : part.patterns) {
      MLXR_ASSIGN_OR_RETURN(const CharAutomaton automaton, regex_automaton(pattern, true, schema.pointer));
      if (!automaton.matches(name)) continue;
      refs.push_back(schema);
      known = true;
    }
    if (!known && part.additional.has_value()) refs.push_back(*part.additional);
  }
  return refs;
}

// What propertyNames asks of keys; nullopt: nothing.
Result<std::optional<CharAutomaton>> SchemaCompiler::name_automaton(const Shape& shape) {
  std::optional<CharAutomaton> out;
  for (const SchemaRef& ref : shape.property_names) {
    Shape names;
    MLXR_RETURN_IF_ERROR(reader_.add(names, ref, {}));
    if (!names.alternatives.empty())
      return unsupported(fmt::format("schema: anyOf and oneOf within {} are not supported", ref.pointer));
    MLXR_ASSIGN_OR_RETURN(std::optional<CharAutomaton> automaton, string_automaton(names));
    for (const auto& values : names.enums) {
      std::vector<std::string> texts;
      for (const SchemaJson* value : values)
        if (value->is_string()) texts.push_back(value->get<std::string>());
      const CharAutomaton listed = CharAutomaton::of_texts(texts);
      if (automaton.has_value()) {
        MLXR_ASSIGN_OR_RETURN(automaton, common(*automaton, listed, ref.pointer));
      } else {
        automaton = listed;
      }
    }
    if (names.never || (names.types & kStringType) == 0) automaton = CharAutomaton();
    if (!automaton.has_value()) continue;
    if (out.has_value()) {
      MLXR_ASSIGN_OR_RETURN(out, common(*out, *automaton, ref.pointer));
    } else {
      out = std::move(automaton);
    }
  }
  return out;
}

Result<std::vector<SchemaCompiler::KeyRegion>> SchemaCompiler::other_keys(const Shape& shape,
                                                                          const std::vector<std::string>& names,
                                                                          const std::optional<CharAutomaton>& allowed) {
  std::vector<KeyRegion> out;
  std::vector<std::pair<std::string, std::string>> patterns;  // and where each was met first
  for (const ObjectPart& part : shape.objects)
    for (const auto& property : part.patterns)
      if (std::none_of(patterns.begin(), patterns.end(), [&](const auto& p) { return p.first == property.first; }))
        patterns.emplace_back(property.first, property.second.pointer);
  if (patterns.size() > kMaxPatterns)
    return unsupported(
        fmt::format("schema: more than {} patternProperties for one object, as with {}, are not supported",
                    kMaxPatterns, patterns.back().second));
  for (unsigned matched = 0; matched < 1U << patterns.size(); ++matched) {
    Refs refs;
    for (const ObjectPart& part : shape.objects) {
      bool known = false;
      for (const auto& property : part.patterns) {
        const std::string& pattern = property.first;
        const auto found =
            std::find_if(patterns.begin(), patterns.end(), [&](const auto& p) { return p.first == pattern; });
        if (((matched >> static_cast<unsigned>(found - patterns.begin())) & 1U) == 0) continue;
        refs.push_back(property.second);
        known = true;
      }
      if (!known && part.additional.has_value()) refs.push_back(*part.additional);
    }
    if (std::any_of(refs.begin(), refs.end(), is_false)) continue;
    if (patterns.empty() && names.empty() && !allowed.has_value()) {
      out.push_back({json_.any_string(), refs});
      continue;
    }
    CharAutomaton keys = allowed.value_or(CharAutomaton::any_text());
    if (!names.empty()) {
      MLXR_ASSIGN_OR_RETURN(keys, common(keys, CharAutomaton::of_texts(names).complement(), "a list of properties"));
    }
    for (std::size_t i = 0; i < patterns.size(); ++i) {
      MLXR_ASSIGN_OR_RETURN(const CharAutomaton pattern, regex_automaton(patterns[i].first, true, patterns[i].second));
      const bool matches = ((matched >> i) & 1U) != 0;
      MLXR_ASSIGN_OR_RETURN(keys, common(keys, matches ? pattern : pattern.complement(), patterns[i].second));
    }
    if (keys.empty()) continue;
    // Shared by the places of the object where such a key may stand.
    const RuleId key = rules_.add_rule("key");
    rules_.define(key, json_.string_matching(keys));
    out.push_back({rules_.rule(key), refs});
  }
  return out;
}

// States are (next declared property, number of members so far); numbers beyond what counts are one.
ExpressionId SchemaCompiler::members(const Shape& shape, const std::vector<ExpressionId>& declared,
                                     const std::vector<bool>& required, const std::vector<ExpressionId>& others) {
  const std::int64_t most = std::max<std::int64_t>({1, shape.min_properties, shape.max_properties.value_or(0)});
  const auto num_counts = static_cast<std::int32_t>(most + 1);
  const auto num_declared = static_cast<std::int32_t>(declared.size());
  Graph graph;
  graph.num_states = (num_declared + 1) * num_counts;
  const auto id = [&](std::int32_t next, std::int32_t count) { return next * num_counts + count; };
  for (std::int32_t next = 0; next <= num_declared; ++next) {
    for (std::int32_t count = 0; count < num_counts; ++count) {
      const bool full = shape.max_properties.has_value() && count >= *shape.max_properties;
      const std::int32_t more = std::min<std::int32_t>(count + 1, num_counts - 1);
      const auto add = [&](ExpressionId member, std::int32_t to) {
        if (full) return;
        graph.edges.push_back(
            {id(next, count), count == 0 ? member : rules_.sequence({json_.comma(), member}), id(to, more)});
      };
      if (next == num_declared) {
        for (const ExpressionId other : others)
          add(other, next);
        if (count >= shape.min_properties && count > 0) graph.accepting.push_back(id(next, count));
        continue;
      }
      add(declared[static_cast<std::size_t>(next)], next + 1);
      if (!required[static_cast<std::size_t>(next)])
        graph.edges.push_back({id(next, count), rules_.empty(), id(next + 1, count)});
    }
  }
  const bool may_be_empty =
      shape.min_properties == 0 && std::find(required.begin(), required.end(), true) == required.end();
  return json_.enclosed("{", rules_.graph(std::move(graph)), may_be_empty, "}");
}

Result<ExpressionId> SchemaCompiler::array(const Shape& shape) {
  if (shape.arrays.empty() && shape.min_items == 0 && !shape.max_items.has_value()) return json_.any_array();
  const std::int64_t limit = options_.limits.max_repeat;
  if (shape.min_items > limit || shape.max_items.value_or(0) > limit)
    return unsupported(fmt::format("schema: a minItems or maxItems over {} is not supported", limit));
  if (shape.max_items.has_value() && *shape.max_items < shape.min_items) return rules_.never();
  std::size_t num_prefix = 0;
  for (const ArrayPart& part : shape.arrays)
    num_prefix = std::max(num_prefix, part.prefix.size());
  const auto element = [&](std::size_t index) {
    Refs refs;
    for (const ArrayPart& part : shape.arrays) {
      if (index < part.prefix.size())
        refs.push_back(part.prefix[index]);
      else if (part.items.has_value())
        refs.push_back(*part.items);
    }
    return std::any_of(refs.begin(), refs.end(), is_false) ? rules_.never() : rule_for(std::move(refs));
  };
  Graph graph;  // state i: behind the first i elements; the last one: all read
  const auto end = static_cast<std::int32_t>(num_prefix) + 2;
  graph.num_states = end + 1;
  graph.accepting = {end};
  const auto max = [&](std::int64_t used) {
    return shape.max_items.has_value() ? static_cast<int>(*shape.max_items - used) : kUnbounded;
  };
  const auto min = [&](std::int64_t used) {
    return static_cast<int>(std::max<std::int64_t>(0, shape.min_items - used));
  };
  for (std::size_t i = 0; i <= num_prefix; ++i) {
    const auto count = static_cast<std::int64_t>(i);
    const auto state = static_cast<std::int32_t>(i);
    if (i > 0 && count >= shape.min_items) graph.edges.push_back({state, rules_.empty(), end});
    if (shape.max_items.has_value() && count >= *shape.max_items) break;
    const ExpressionId item = element(i);
    const ExpressionId next = i == 0 ? item : rules_.sequence({json_.comma(), item});
    if (i < num_prefix) {
      graph.edges.push_back({state, next, state + 1});
      continue;
    }
    // One more element, then any number of others like it.
    const ExpressionId rest = rules_.repeat(rules_.sequence({json_.comma(), item}), min(count + 1), max(count + 1));
    graph.edges.push_back({state, rules_.sequence({next, rest}), end});
  }
  return json_.enclosed("[", rules_.graph(std::move(graph)), shape.min_items == 0, "]");
}

}  // namespace mlxr::grammar
