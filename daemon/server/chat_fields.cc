#include "daemon/server/chat_fields.h"

#include <algorithm>
#include <utility>

#include <fmt/core.h>

namespace mlxr::server {
namespace {

constexpr std::size_t kMaxTools = 1024;
constexpr std::size_t kMaxToolNameBytes = 256;

void add_part(const Json& part, const std::string& path, RequestNotes& notes, std::string& text, bool& first) {
  if (part.is_string()) {
    if (!std::exchange(first, false)) text += '\n';
    text += part.get_ref<const std::string&>();
    return;
  }
  JsonFields fields(part, path + ".", notes);
  const std::string type = fields.required_string("type");
  if (!notes.ok()) return;
  const bool refusal = type == "refusal";
  if (type != "text" && type != "input_text" && type != "output_text" && !refusal) {
    notes.fail(ApiErrorKind::kUnsupported, path,
               fmt::format("field '{}' is a part of type {}: models here read text alone", path, json_quoted(type)));
    return;
  }
  static constexpr KnownField kOthers[] = {{"cache_control", FieldTreatment::kSilent, ""},
                                           {"annotations", FieldTreatment::kSilent, ""},
                                           {"logprobs", FieldTreatment::kSilent, ""},
                                           {"citations", FieldTreatment::kSilent, ""}};
  if (!std::exchange(first, false)) text += '\n';
  text += fields.required_string(refusal ? "refusal" : "text");
  fields.treat(kOthers);
  fields.finish();
}

Json read_tool_call(const Json& value, const std::string& path, RequestNotes& notes) {
  JsonFields fields(value, path + ".", notes);
  Json call = Json::object();
  if (auto id = fields.string("id")) call["id"] = std::move(*id);
  fields.choice("type", {"function"});
  fields.integer("index");
  call["type"] = "function";
  const Json* function = fields.object("function");
  if (function == nullptr) {
    fields.invalid("function", "is missing");
    return call;
  }
  JsonFields inner(*function, path + ".function.", notes);
  Json out = {{"name", inner.required_string("name")}};
  const Json* arguments = inner.any("arguments");
  if (arguments == nullptr) {
    out["arguments"] = Json::object();
  } else if (arguments->is_string()) {
    out["arguments"] = tool_arguments(arguments->get_ref<const std::string&>(), inner.path_of("arguments"), notes);
  } else if (arguments->is_object()) {
    out["arguments"] = *arguments;
  } else {
    inner.invalid("arguments", fmt::format("must be JSON text or an object; it is {}", describe_json(*arguments)));
  }
  inner.finish();
  fields.finish();
  call["function"] = std::move(out);
  return call;
}

void read_assistant(JsonFields& fields, Json& message) {
  auto reasoning = fields.string("reasoning_content");
  auto other_name = fields.string("reasoning");
  if (!reasoning.has_value()) reasoning = std::move(other_name);
  if (reasoning.has_value() && !reasoning->empty()) message["reasoning_content"] = std::move(*reasoning);
  if (const Json* calls = fields.array("tool_calls"); calls != nullptr && !calls->empty()) {
    Json out = Json::array();
    for (std::size_t i = 0; i < calls->size(); ++i) {
      out.push_back(read_tool_call((*calls)[i], fields.path_of(fmt::format("tool_calls[{}]", i)), fields.notes()));
    }
    message["tool_calls"] = std::move(out);
  }
  if (auto refusal = fields.string("refusal"); refusal.has_value() && !refusal->empty()) {
    message["content"] = message["content"].get<std::string>() + *refusal;
  }
}

Json read_message(const Json& value, const std::string& path, const Json& before, RequestNotes& notes, bool& prefix) {
  static constexpr KnownField kOthers[] = {
      {"function_call", FieldTreatment::kRefuse, "say tool_calls"},
      {"audio", FieldTreatment::kRefuse, "models here read text alone"},
      {"images", FieldTreatment::kRefuse, "models here read text alone"},
      {"annotations", FieldTreatment::kSilent, ""},
      {"cache_control", FieldTreatment::kSilent, ""},
      {"id", FieldTreatment::kSilent, ""},
      {"type", FieldTreatment::kSilent, ""},
      {"status", FieldTreatment::kSilent, ""},
  };
  JsonFields fields(value, path + ".", notes);
  Json message = Json::object();
  if (!value.is_object()) return message;
  if (!fields.has("role")) fields.invalid("role", "is missing");
  std::string role = fields.choice("role", {"system", "developer", "user", "assistant", "tool"}).value_or("");
  if (role == "developer") role = "system";
  message["role"] = role;
  const Json* content = fields.any("content");
  if (content == nullptr && role != "assistant") fields.invalid("content", "is missing");
  message["content"] = content == nullptr ? std::string() : content_text(*content, path + ".content", notes);
  if (auto name = fields.string("name")) message["name"] = std::move(*name);
  if (role == "assistant") {
    read_assistant(fields, message);
    prefix = fields.boolean("prefix").value_or(false);
  }
  if (role == "tool") {
    if (auto id = fields.string("tool_call_id")) {
      message["tool_call_id"] = *id;
      // Templates of some families name the tool, not the call.
      const std::string name = tool_name_of(before, *id);
      if (!message.contains("name") && !name.empty()) message["name"] = name;
    }
  }
  fields.treat(kOthers);
  fields.finish();
  return message;
}

Json read_tool(const Json& value, const std::string& path, RequestNotes& notes) {
  JsonFields fields(value, path + ".", notes);
  const std::string type = fields.required_string("type");
  if (notes.ok() && type != "function") {
    notes.fail(ApiErrorKind::kUnsupported, path + ".type",
               fmt::format("field '{}.type' is {}: this server has no tools of its own, only functions of the caller",
                           path, json_quoted(type)));
    return {};
  }
  const bool flat = !fields.has("function");
  const Json* nested = flat ? &value : fields.object("function");
  if (nested == nullptr) return {};
  JsonFields inner(*nested, flat ? path + "." : path + ".function.", notes);
  inner.any("type");
  const std::string name = inner.required_string("name");
  if (notes.ok() && (name.empty() || name.size() > kMaxToolNameBytes)) {
    inner.invalid("name", fmt::format("must have 1 to {} bytes", kMaxToolNameBytes));
  }
  Json function = {{"name", name}};
  if (auto description = inner.string("description")) function["description"] = std::move(*description);
  const Json* parameters = inner.object("parameters");
  function["parameters"] =
      parameters != nullptr ? *parameters : Json{{"type", "object"}, {"properties", Json::object()}};
  // Arguments follow the schema with and without it.
  inner.boolean("strict");
  inner.finish();
  if (!flat) {
    fields.any("cache_control");
    fields.boolean("strict");
    fields.finish();
  }
  return {{"type", "function"}, {"function", std::move(function)}};
}

bool has_tool(const Json& tools, const std::string& name) {
  return std::any_of(tools.begin(), tools.end(), [&name](const Json& tool) {
    return tool["function"]["name"].get_ref<const std::string&>() == name;
  });
}

std::string named_function(JsonFields& choice) {
  if (const Json* function = choice.object("function")) {
    JsonFields inner(*function, choice.path_of("function") + ".", choice.notes());
    std::string name = inner.required_string("name");
    inner.finish();
    return name;
  }
  return choice.required_string("name");
}

// {"mode": auto | required, "tools": [...]}: only these may be called.
void allow_tools(JsonFields& allowed, ChatInput& chat) {
  const bool required = allowed.choice("mode", {"auto", "required"}) == "required";
  chat.tool_choice = required ? ToolChoice::kRequired : ToolChoice::kAuto;
  const Json* list = allowed.required_array("tools");
  if (list == nullptr) return;
  Json kept = Json::array();
  for (std::size_t i = 0; i < list->size(); ++i) {
    JsonFields entry((*list)[i], allowed.path_of(fmt::format("tools[{}].", i)), allowed.notes());
    entry.choice("type", {"function"});
    const std::string name = named_function(entry);
    if (!allowed.notes().ok()) return;
    for (const Json& tool : chat.tools) {
      if (tool["function"]["name"] == name) kept.push_back(tool);
    }
    if (!has_tool(chat.tools, name)) entry.invalid("name", fmt::format("names no tool: {}", json_quoted(name)));
  }
  chat.tools = std::move(kept);
}

void read_tool_choice(JsonFields& fields, ChatInput& chat) {
  const Json* value = fields.any("tool_choice");
  if (value == nullptr) return;
  const bool none = chat.tools.is_null() || chat.tools.empty();
  if (value->is_string()) {
    const std::string word = fields.choice("tool_choice", {"none", "auto", "required", "any"}).value_or("auto");
    if (word == "none") chat.tool_choice = ToolChoice::kNone;
    if (word == "required" || word == "any") {
      chat.tool_choice = ToolChoice::kRequired;
      if (none) fields.invalid("tool_choice", "asks for a call, and there are no tools");
    }
    return;
  }
  JsonFields choice(*value, fields.path_of("tool_choice") + ".", fields.notes());
  const std::string type = choice.choice("type", {"function", "allowed_tools"}).value_or("");
  if (type == "allowed_tools") {
    const Json* nested = choice.object("allowed_tools");
    if (nested != nullptr) {
      JsonFields inner(*nested, choice.path_of("allowed_tools") + ".", fields.notes());
      allow_tools(inner, chat);
    } else {
      allow_tools(choice, chat);
    }
    return;
  }
  if (type != "function") return;
  chat.tool_choice = ToolChoice::kNamed;
  chat.tool_name = named_function(choice);
  choice.finish();
  if (fields.notes().ok() && (none || !has_tool(chat.tools, chat.tool_name))) {
    fields.invalid("tool_choice", fmt::format("names no tool: {}", json_quoted(chat.tool_name)));
  }
}

}  // namespace

std::string content_text(const Json& content, const std::string& path, RequestNotes& notes) {
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array()) {
    notes.invalid(path, fmt::format("must be a string or an array of parts; it is {}", describe_json(content)));
    return {};
  }
  std::string text;
  bool first = true;
  for (std::size_t i = 0; i < content.size() && notes.ok(); ++i) {
    add_part(content[i], fmt::format("{}[{}]", path, i), notes, text, first);
  }
  return text;
}

Json tool_arguments(const std::string& text, const std::string& path, RequestNotes& notes) {
  if (text.empty()) return Json::object();
  Result<Json> parsed = parse_json_text(text);
  if (parsed.ok() && parsed->is_object()) return std::move(parsed).value();
  notes.warn(fmt::format("field '{}' holds no JSON object; the model sees it as text", path));
  return text;
}

std::string tool_name_of(const Json& messages, const std::string& call_id) {
  for (auto message = messages.rbegin(); message != messages.rend(); ++message) {
    const auto calls = message->find("tool_calls");
    if (calls == message->end()) continue;
    for (const Json& call : *calls) {
      if (call.value("id", "") == call_id) return call["function"].value("name", "");
    }
  }
  return {};
}

void read_messages(JsonFields& fields, ChatInput& chat) {
  const Json* messages = fields.required_array("messages");
  if (messages == nullptr) return;
  if (messages->empty()) fields.invalid("messages", "has no messages");
  for (std::size_t i = 0; i < messages->size() && fields.notes().ok(); ++i) {
    bool prefix = false;
    chat.messages.push_back(read_message((*messages)[i], fields.path_of(fmt::format("messages[{}]", i)), chat.messages,
                                         fields.notes(), prefix));
    if (prefix && i + 1 == messages->size()) {
      chat.continue_final_message = true;
      chat.add_generation_prompt = false;
    }
  }
}

void read_tools(JsonFields& fields, ChatInput& chat) {
  if (const Json* tools = fields.array("tools"); tools != nullptr && !tools->empty()) {
    if (tools->size() > kMaxTools) {
      fields.invalid("tools", fmt::format("has {} entries; {} are allowed", tools->size(), kMaxTools));
      return;
    }
    chat.tools = Json::array();
    for (std::size_t i = 0; i < tools->size() && fields.notes().ok(); ++i) {
      chat.tools.push_back(read_tool((*tools)[i], fields.path_of(fmt::format("tools[{}]", i)), fields.notes()));
    }
  }
  chat.parallel_tool_calls = fields.boolean("parallel_tool_calls").value_or(true);
  if (fields.notes().ok()) read_tool_choice(fields, chat);
}

}  // namespace mlxr::server
