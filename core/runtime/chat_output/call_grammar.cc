#include "core/runtime/chat_output/call_grammar.h"

#include <array>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

namespace mlxr {
namespace {

using grammar::ExpressionId;
using grammar::Rules;
using nlohmann::ordered_json;

Result<ordered_json> schema_of(const ToolSpec& tool) {
  if (tool.parameters.empty()) return ordered_json{{"type", "object"}};
  ordered_json schema = ordered_json::parse(tool.parameters, nullptr, false);
  if (schema.is_null()) return ordered_json{{"type", "object"}};
  if (!schema.is_object()) {
    return invalid_argument(fmt::format("tool \"{}\": its parameters are not a JSON Schema object", tool.name));
  }
  if (!schema.contains("type")) schema["type"] = "object";
  return schema;
}

bool is_text_schema(const ordered_json& schema) {
  const auto type = schema.is_object() ? schema.find("type") : schema.end();
  return schema.is_object() && type != schema.end() && *type == "string" && !schema.contains("enum") &&
         !schema.contains("const");
}

bool is_text_parameter(const ordered_json& schema) {
  const auto type = schema.is_object() ? schema.find("type") : schema.end();
  return schema.is_object() && type != schema.end() && *type == "string";
}

// Any bytes up to a mark and the mark itself (Knuth, Morris and Pratt, 1977). Control tokens are no text.
ExpressionId text_until(Rules& rules, const std::string& mark) {
  constexpr int kTextBytes = 0xFE;
  grammar::Graph graph;
  graph.num_states = static_cast<std::int32_t>(mark.size()) + 1;
  const auto next_of = [&mark](std::size_t matched, char c) {
    std::string seen = mark.substr(0, matched) + c;
    while (!mark.starts_with(seen))
      seen.erase(0, 1);
    return static_cast<std::int32_t>(seen.size());
  };
  for (std::size_t state = 0; state < mark.size(); ++state) {
    std::array<std::int32_t, kTextBytes> next{};
    for (std::size_t byte = 0; byte < next.size(); ++byte)
      next[byte] = next_of(state, static_cast<char>(byte));
    for (int low = 0; low < kTextBytes;) {
      int high = low;
      while (high + 1 < kTextBytes && next[static_cast<std::size_t>(high) + 1] == next[static_cast<std::size_t>(low)])
        ++high;
      graph.edges.push_back({static_cast<std::int32_t>(state),
                             rules.byte_range(static_cast<std::uint8_t>(low), static_cast<std::uint8_t>(high)),
                             next[static_cast<std::size_t>(low)]});
      low = high + 1;
    }
  }
  graph.accepting = {static_cast<std::int32_t>(mark.size())};
  return rules.graph(std::move(graph));
}

// Builds the calls of one format out of the grammars of their arguments.
class CallRules {
 public:
  CallRules(Rules& rules, const CallFormat& format, std::vector<std::string>& warnings)
      : rules_(rules), format_(format), warnings_(warnings) {}

  // A call without its begin and end.
  Result<ExpressionId> body(const ToolSpec& tool) {
    Result<ordered_json> schema = schema_of(tool);
    if (!schema.ok()) return schema.status();
    if (format_.style == CallStyle::kParameters) return parameters(tool, *schema);
    MLXR_ASSIGN_OR_RETURN(const ExpressionId arguments, adopt(tool, *schema));
    const std::string name = ordered_json(tool.name).dump();
    if (format_.style == CallStyle::kNamed) {
      return rules_.sequence({rules_.literal(tool.name + format_.name_end), arguments});
    }
    return rules_.sequence(
        {rules_.literal("{\"name\": " + name + ", \"" + format_.key + "\": "), arguments, rules_.literal("}")});
  }

 private:
  Result<ExpressionId> adopt(const ToolSpec& tool, const ordered_json& schema) {
    const auto made = Grammar::from_json_schema(schema.dump());
    if (!made.ok()) return made.status().with_context(fmt::format("tool \"{}\"", tool.name));
    for (const std::string& warning : (*made)->warnings())
      warnings_.push_back(fmt::format("tool \"{}\": {}", tool.name, warning));
    return rules_.rule(rules_.adopt((*made)->rules()));
  }

  Result<ExpressionId> parameters(const ToolSpec& tool, const ordered_json& schema) {
    std::vector<ExpressionId> parts{rules_.literal(tool.name + format_.name_end)};
    const auto properties = schema.find("properties");
    if (properties != schema.end() && properties->is_object()) {
      for (const auto& [name, property] : properties->items()) {
        const ExpressionId begin = rules_.literal(format_.param_begin + name + format_.param_name_end);
        ExpressionId value = 0;
        if (is_text_schema(property)) {
          value = text_until(rules_, format_.param_end);
        } else {
          ordered_json own = property;
          for (const char* definitions : {"$defs", "definitions"}) {
            if (own.is_object() && schema.contains(definitions)) own[definitions] = schema[definitions];
          }
          if (is_text_parameter(property)) {
            MLXR_ASSIGN_OR_RETURN(value, one_of_texts(tool, name, property));
          } else {
            MLXR_ASSIGN_OR_RETURN(value, adopt(tool, own));
          }
          value = rules_.sequence({value, rules_.literal(format_.param_end)});
        }
        const ExpressionId parameter = rules_.sequence({begin, value});
        parts.push_back(is_required(schema, name) ? parameter : rules_.optional(parameter));
      }
    }
    parts.push_back(rules_.literal(format_.after));
    return rules_.sequence(std::move(parts));
  }

  // Texts stand without quotes here.
  Result<ExpressionId> one_of_texts(const ToolSpec& tool, const std::string& name, const ordered_json& property) {
    std::vector<ExpressionId> ways;
    if (property.contains("const"))
      ways.push_back(rules_.literal(property["const"].is_string() ? property["const"].get<std::string>()
                                                                  : property["const"].dump()));
    if (property.contains("enum") && property["enum"].is_array()) {
      for (const auto& value : property["enum"])
        ways.push_back(rules_.literal(value.is_string() ? value.get<std::string>() : value.dump()));
    }
    if (ways.empty())
      return invalid_argument(fmt::format("tool \"{}\": parameter \"{}\" allows no value", tool.name, name));
    return rules_.choice(std::move(ways));
  }

  static bool is_required(const ordered_json& schema, const std::string& name) {
    const auto required = schema.find("required");
    if (required == schema.end() || !required->is_array()) return false;
    for (const auto& entry : *required) {
      if (entry == name) return true;
    }
    return false;
  }

  Rules& rules_;
  const CallFormat& format_;
  std::vector<std::string>& warnings_;
};

Result<std::shared_ptr<const Grammar>> finish(Rules rules, ExpressionId body, std::vector<std::string> warnings = {}) {
  const grammar::RuleId root = rules.add_rule("answer");
  rules.define(root, body);
  rules.set_root(root);
  return Grammar::from_rules(std::move(rules), std::move(warnings));
}

Status check_name(const std::string& name) {
  const bool plain =
      !name.empty() && name.size() <= 128 && name.find_first_of(" \t\r\n<>{}[]\"\\\xFF\xFE") == std::string::npos;
  if (plain) return {};
  return invalid_argument(fmt::format("the tool name \"{}\" is not 1 to 128 letters, digits or _-.:/", name));
}

// What stands between the begin and the end mark: one call, or a list of them.
Result<std::shared_ptr<const Grammar>> content_of_calls(const CallFormat& format, const AnswerGrammarOptions& options) {
  Rules rules;
  std::vector<std::string> warnings;
  CallRules calls(rules, format, warnings);
  std::vector<ExpressionId> ways;
  for (const ToolSpec& tool : options.tools) {
    MLXR_RETURN_IF_ERROR(check_name(tool.name));
    MLXR_ASSIGN_OR_RETURN(const ExpressionId body, calls.body(tool));
    ways.push_back(body);
  }
  ExpressionId any = rules.choice(std::move(ways));
  if (format.style == CallStyle::kList) {
    const ExpressionId more =
        rules.repeat(rules.sequence({rules.literal(", "), any}), 0, options.parallel ? grammar::kUnbounded : 0);
    any = rules.sequence({rules.literal("["), any, more, rules.literal("]")});
  }
  // What stands behind the parameters is a part of the body.
  const bool after = format.style != CallStyle::kParameters && !format.after.empty();
  const ExpressionId body =
      rules.sequence({rules.literal(format.before), any, rules.literal(after ? format.after : "")});
  return finish(std::move(rules), body, std::move(warnings));
}

// A text that is nothing but calls.
Result<std::shared_ptr<const Grammar>> calls_alone(const CallFormat& format, const AnswerGrammarOptions& options,
                                                   const std::shared_ptr<const Grammar>& content) {
  Rules rules;
  const ExpressionId body = rules.rule(rules.adopt(content->rules()));
  const ExpressionId call = rules.sequence({rules.literal(format.begin), body, rules.literal(format.end)});
  // A list holds all calls, and what fills an answer is one.
  const bool repeats = options.parallel && format.style != CallStyle::kList && !format.fills_answer();
  const ExpressionId space = rules.literal(format.group_begin.empty() && !format.end.empty() ? "\n" : "");
  const ExpressionId more = rules.repeat(rules.sequence({space, call}), 0, repeats ? grammar::kUnbounded : 0);
  const ExpressionId all =
      rules.sequence({rules.literal(format.group_begin), call, more, rules.literal(format.group_end)});
  return finish(std::move(rules), all, content->warnings());
}

Result<std::shared_ptr<const Grammar>> either(const std::shared_ptr<const Grammar>& a,
                                              const std::shared_ptr<const Grammar>& b) {
  Rules rules;
  const ExpressionId first = rules.rule(rules.adopt(a->rules()));
  const ExpressionId second = rules.rule(rules.adopt(b->rules()));
  std::vector<std::string> warnings = a->warnings();
  warnings.insert(warnings.end(), b->warnings().begin(), b->warnings().end());
  const ExpressionId any = rules.choice({first, second});
  return finish(std::move(rules), any, std::move(warnings));
}

// Reasoning first, when there may be some.
Result<std::shared_ptr<const Grammar>> behind_reasoning(const ChatFormat& format, const AnswerGrammarOptions& options,
                                                        const std::shared_ptr<const Grammar>& answer) {
  if (!format.reasons()) return answer;
  if (!options.reasoning_open && !options.may_reason) return answer;
  MLXR_ASSIGN_OR_RETURN(const auto after, grammar_after_mark(ChatFormat::text_mark(format.reasoning_end), answer));
  if (options.reasoning_open) return after;
  Rules rules;
  const ExpressionId begin = rules.literal(format.reasoning_begin);
  const ExpressionId reasoned = rules.sequence({begin, rules.rule(rules.adopt(after->rules()))});
  MLXR_ASSIGN_OR_RETURN(const auto reasoning, finish(std::move(rules), reasoned));
  return either(answer, reasoning);
}

}  // namespace

bool streams_calls(const CallFormat& format) {
  return format.style != CallStyle::kNone && !format.fills_answer();
}

std::vector<std::string> text_parameters_of(const ToolSpec& tool) {
  std::vector<std::string> names;
  const auto schema = schema_of(tool);
  if (!schema.ok()) return names;
  const auto properties = schema->find("properties");
  if (properties == schema->end() || !properties->is_object()) return names;
  for (const auto& [name, property] : properties->items()) {
    if (is_text_parameter(property)) names.push_back(name);
  }
  return names;
}

Result<std::shared_ptr<const Grammar>> answer_grammar(const ChatFormat& format, const AnswerGrammarOptions& options) {
  if (options.tools.empty()) {
    if (options.content == nullptr) return std::shared_ptr<const Grammar>();
    return behind_reasoning(format, options, options.content);
  }
  const CallFormat& calls = format.calls;
  if (!format.calls_tools()) return unsupported("how the model writes tool calls is not known");
  MLXR_ASSIGN_OR_RETURN(const auto content, content_of_calls(calls, options));
  if (options.calls_required || options.content != nullptr) {
    MLXR_ASSIGN_OR_RETURN(auto answer, calls_alone(calls, options, content));
    if (!options.calls_required) {
      MLXR_ASSIGN_OR_RETURN(answer, either(answer, options.content));
    }
    return behind_reasoning(format, options, answer);
  }
  if (!streams_calls(calls)) return std::shared_ptr<const Grammar>();
  const TextTag tag{.begin = ChatFormat::text_mark(calls.begin),
                    .trigger = "",
                    .content = content,
                    .end = calls.end.empty() ? TextMark{} : ChatFormat::text_mark(calls.end)};
  const bool repeated = options.parallel && calls.style != CallStyle::kList;
  return grammar_from_tags({&tag, 1}, {.required = false, .repeated = repeated, .free_text = true});
}

}  // namespace mlxr
