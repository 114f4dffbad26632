#include "core/runtime/grammar/schema_compiler.h"

#include <algorithm>
#include <cmath>

#include <fmt/core.h>

#include "core/base/utf8.h"
#include "core/runtime/grammar/json_schema.h"
#include "core/runtime/grammar/regex_syntax.h"
#include "core/runtime/grammar/schema_formats.h"

namespace mlxr::grammar {
namespace {

// Shapes that alternatives multiply to, over a whole schema.
constexpr std::size_t kMaxExpanded = 20'000;

std::size_t num_characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

// Whether value / multiple is whole.
bool is_multiple(const Decimal& value, const Decimal& multiple) {
  const std::size_t fraction = std::max(value.fraction.size(), multiple.fraction.size());
  const auto scaled = [&](const Decimal& d) {
    return d.whole + d.fraction + std::string(fraction - d.fraction.size(), '0');
  };
  std::uint64_t divisor = 0;
  for (const char c : scaled(multiple)) {
    if (divisor > (std::uint64_t{1} << 59) / 10) return true;  // number_expression() refuses such a multiple
    divisor = divisor * 10 + static_cast<std::uint64_t>(c - '0');
  }
  std::uint64_t rest = 0;
  for (const char c : scaled(value))
    rest = (rest * 10 + static_cast<std::uint64_t>(c - '0')) % divisor;
  return rest == 0;
}

}  // namespace

SchemaCompiler::SchemaCompiler(const SchemaJson& root, const GrammarOptions& options)
    : options_(options),
      rules_(options.limits),
      json_(rules_, options.whitespace),
      reader_(root, options.limits.max_depth, warnings_) {
  const RuleId whole = rules_.add_rule("schema");
  rules_.set_root(whole);
  pending_.push_back({whole, {{&root, "#"}}});
  known_.emplace(std::vector<const SchemaJson*>{&root}, whole);
}

Status SchemaCompiler::run() {
  while (!pending_.empty()) {
    const Pending next = std::move(pending_.front());
    pending_.pop_front();
    Shape shape;
    for (const SchemaRef& ref : next.refs)
      MLXR_RETURN_IF_ERROR(reader_.add(shape, ref, {}));
    std::vector<ExpressionId> ways;
    MLXR_RETURN_IF_ERROR(expand(shape, ways));
    MLXR_RETURN_IF_ERROR(rules_.status());
    rules_.define(next.rule, rules_.choice(std::move(ways)));
  }
  return {};
}

ExpressionId SchemaCompiler::rule_for(Refs refs) {
  std::vector<const SchemaJson*> key;
  for (const SchemaRef& ref : refs)
    key.push_back(ref.node);
  std::sort(key.begin(), key.end());
  key.erase(std::unique(key.begin(), key.end()), key.end());
  if (key.empty()) return json_.any_value();
  const auto [place, added] = known_.try_emplace(std::move(key), -1);
  if (added) {
    place->second = rules_.add_rule(refs.front().pointer);
    pending_.push_back({place->second, std::move(refs)});
  }
  return rules_.rule(place->second);
}

// One expression for each choice of alternatives.
Status SchemaCompiler::expand(const Shape& shape, std::vector<ExpressionId>& out) {
  if (++num_expanded_ > kMaxExpanded)
    return resource_exhausted("schema: its anyOf and oneOf multiply to too many combinations");
  if (shape.never) return {};
  if (shape.alternatives.empty()) {
    MLXR_ASSIGN_OR_RETURN(const ExpressionId made, expression(shape));
    out.push_back(made);
    return {};
  }
  const Alternatives& alternatives = shape.alternatives.back();
  for (const SchemaRef& schema : alternatives.schemas) {
    Shape chosen = shape;
    chosen.alternatives.pop_back();
    MLXR_RETURN_IF_ERROR(reader_.add(chosen, schema, alternatives.within));
    MLXR_RETURN_IF_ERROR(expand(chosen, out));
  }
  return {};
}

Result<ExpressionId> SchemaCompiler::expression(const Shape& shape) {
  if (!shape.enums.empty()) return enum_expression(shape);
  std::vector<ExpressionId> ways;
  if ((shape.types & kNullType) != 0) ways.push_back(json_.null());
  if ((shape.types & kBooleanType) != 0) ways.push_back(json_.boolean());
  if ((shape.types & (kIntegerType | kFractionType)) != 0) {
    MLXR_ASSIGN_OR_RETURN(const ExpressionId made, number(shape));
    ways.push_back(made);
  }
  if ((shape.types & kStringType) != 0) {
    MLXR_ASSIGN_OR_RETURN(const ExpressionId made, string(shape));
    ways.push_back(made);
  }
  if ((shape.types & kArrayType) != 0) {
    MLXR_ASSIGN_OR_RETURN(const ExpressionId made, array(shape));
    ways.push_back(made);
  }
  if ((shape.types & kObjectType) != 0) {
    MLXR_ASSIGN_OR_RETURN(const ExpressionId made, object(shape));
    ways.push_back(made);
  }
  return rules_.choice(std::move(ways));
}

Result<ExpressionId> SchemaCompiler::enum_expression(const Shape& shape) {
  std::vector<ExpressionId> ways;
  for (const SchemaJson* value : shape.enums.front()) {
    const bool in_all = std::all_of(shape.enums.begin(), shape.enums.end(), [&](const auto& values) {
      return std::any_of(values.begin(), values.end(), [&](const SchemaJson* other) { return *other == *value; });
    });
    MLXR_ASSIGN_OR_RETURN(const bool member, is_member(shape, *value));
    if (in_all && member) ways.push_back(json_.value(*value));
  }
  return rules_.choice(std::move(ways));
}

// Whether a value of an enum agrees with the keywords beside it.
Result<bool> SchemaCompiler::is_member(const Shape& shape, const SchemaJson& value) {
  if (value.is_null()) return (shape.types & kNullType) != 0;
  if (value.is_boolean()) return (shape.types & kBooleanType) != 0;
  if (value.is_number()) {
    const std::optional<Decimal> number = Decimal::parse(value.dump());
    if (!number.has_value()) return unsupported("schema: a number of an enum has too many digits");
    const TypeSet type = number->fraction.empty() ? kIntegerType : kFractionType;
    return (shape.types & type) != 0 && shape.number.contains(*number) &&
           (!shape.number.multiple_of.has_value() || is_multiple(*number, *shape.number.multiple_of));
  }
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    const auto length = static_cast<std::int64_t>(num_characters(text));
    if ((shape.types & kStringType) == 0 || length < shape.min_length || length > shape.max_length.value_or(length))
      return false;
    Shape rest;
    rest.patterns = shape.patterns;
    rest.formats = shape.formats;
    MLXR_ASSIGN_OR_RETURN(const std::optional<CharAutomaton> automaton, string_automaton(rest));
    return !automaton.has_value() || automaton->matches(text);
  }
  if ((shape.types & (value.is_array() ? kArrayType : kObjectType)) == 0) return false;
  const bool more_asked = value.is_array()
                              ? !shape.arrays.empty() || shape.min_items > 0 || shape.max_items.has_value()
                              : !shape.objects.empty() || !shape.required.empty() || !shape.property_names.empty() ||
                                    shape.min_properties > 0 || shape.max_properties.has_value();
  const std::string warning = "schema: keywords for objects and arrays beside an enum or const are not enforced";
  if (more_asked && std::find(warnings_.begin(), warnings_.end(), warning) == warnings_.end())
    warnings_.push_back(warning);
  return true;
}

Result<ExpressionId> SchemaCompiler::number(const Shape& shape) {
  const bool whole = (shape.types & kFractionType) == 0;
  if (!shape.number.any()) return whole ? json_.any_integer() : json_.any_number();
  NumberBounds bounds = shape.number;
  bounds.whole = whole;
  return number_expression(rules_, bounds);
}

Result<ExpressionId> SchemaCompiler::string(const Shape& shape) {
  if (shape.any_string()) return json_.any_string();
  if (shape.patterns.empty() && shape.formats.empty()) {
    const std::int64_t limit = options_.limits.max_repeat;
    if (shape.min_length > limit || shape.max_length.value_or(0) > limit)
      return unsupported(fmt::format("schema: a minLength or maxLength over {} is not supported", limit));
    if (shape.max_length.has_value() && *shape.max_length < shape.min_length) return rules_.never();
    return json_.string_of_length(static_cast<int>(shape.min_length),
                                  static_cast<int>(shape.max_length.value_or(kUnbounded)));
  }
  MLXR_ASSIGN_OR_RETURN(const std::optional<CharAutomaton> automaton, string_automaton(shape));
  if (!automaton.has_value()) return json_.any_string();
  return automaton->empty() ? rules_.never() : json_.string_matching(*automaton);
}

Result<std::optional<CharAutomaton>> SchemaCompiler::string_automaton(const Shape& shape) {
  std::optional<CharAutomaton> out;
  const auto add = [&](const CharAutomaton& next, const std::string& pointer) -> Status {
    if (!out.has_value()) {
      out = next;
      return {};
    }
    MLXR_ASSIGN_OR_RETURN(out, common(*out, next, pointer));
    return {};
  };
  for (const SchemaRef& pattern : shape.patterns) {
    MLXR_ASSIGN_OR_RETURN(const CharAutomaton automaton, pattern_automaton(pattern));
    MLXR_RETURN_IF_ERROR(add(automaton, pattern.pointer));
  }
  for (const SchemaRef& format : shape.formats) {
    const auto& name = format.node->get_ref<const std::string&>();
    const std::optional<std::string> source = format_expression(name);
    if (!source.has_value()) {
      const std::string warning = fmt::format("schema: the format '{}' at {} is not enforced", name, format.pointer);
      if (std::find(warnings_.begin(), warnings_.end(), warning) == warnings_.end()) warnings_.push_back(warning);
      continue;
    }
    MLXR_ASSIGN_OR_RETURN(const CharAutomaton automaton, regex_automaton(*source, false, format.pointer));
    MLXR_RETURN_IF_ERROR(add(automaton, format.pointer));
  }
  if (shape.min_length > 0 || shape.max_length.has_value()) {
    if (shape.max_length.has_value() && *shape.max_length < shape.min_length)
      return std::optional<CharAutomaton>(CharAutomaton());
    const std::optional<CharAutomaton> length =
        CharAutomaton::of_length(shape.min_length, shape.max_length.value_or(kUnbounded));
    const char* where = "a minLength or maxLength";
    if (!length.has_value())
      return unsupported(fmt::format("schema: {} is too large for a string with a pattern", where));
    MLXR_RETURN_IF_ERROR(add(*length, where));
  }
  return out;
}

Result<CharAutomaton> SchemaCompiler::pattern_automaton(const SchemaRef& pattern) {
  return regex_automaton(pattern.node->get_ref<const std::string&>(), true, pattern.pointer);
}

Result<CharAutomaton> SchemaCompiler::regex_automaton(const std::string& source, bool search,
                                                      const std::string& pointer) {
  const auto [place, added] = automata_.try_emplace({source, search});
  if (!added) return place->second;
  Rules rules(options_.limits);
  const Result<RegexExpression> parsed = parse_regex(rules, source);
  if (!parsed.ok()) return parsed.status().with_context("schema: " + pointer);
  std::optional<CharAutomaton> made = CharAutomaton::of_expression(rules, parsed->expression, search);
  if (!made.has_value())
    return resource_exhausted(fmt::format("schema: the expression at {} needs too many states", pointer));
  place->second = std::move(*made);
  return place->second;
}

Result<CharAutomaton> SchemaCompiler::common(const CharAutomaton& a, const CharAutomaton& b,
                                             const std::string& pointer) {
  std::optional<CharAutomaton> out = a.common(b);
  if (!out.has_value())
    return resource_exhausted(fmt::format("schema: what {} asks of a string needs too many states", pointer));
  return std::move(*out);
}

Result<SchemaRules> parse_json_schema(std::string_view source, const GrammarOptions& options) {
  if (source.size() > options.limits.max_source_bytes)
    return resource_exhausted(
        fmt::format("schema: {} bytes, the limit is {}", source.size(), options.limits.max_source_bytes));
  if (!is_valid_utf8(source)) return invalid_argument("schema: the text is not UTF-8");
  // Depth first: the library's own parser has no bound.
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < source.size(); ++i) {
    const char c = source[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > options.limits.max_depth)
        return resource_exhausted(fmt::format("schema: nested too deeply at byte {}", i));
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  SchemaJson root;
  try {
    root = SchemaJson::parse(source);
  } catch (const SchemaJson::exception& e) {
    return invalid_argument(fmt::format("schema: {}", e.what()));
  }
  SchemaCompiler compiler(root, options);
  MLXR_RETURN_IF_ERROR(compiler.run());
  return SchemaRules{std::move(compiler.rules()), std::move(compiler.warnings())};
}

}  // namespace mlxr::grammar
