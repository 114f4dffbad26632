#include "daemon/server/anthropic/messages_request.h"

#include <algorithm>
#include <utility>

#include <fmt/core.h>

#include "daemon/server/chat_fields.h"
#include "daemon/server/constraint_fields.h"
#include "daemon/server/keep_alive.h"
#include "daemon/server/sampling_json.h"

namespace mlxr::server {
namespace {

constexpr std::size_t kMaxStops = 64;
constexpr std::size_t kMaxTools = 1024;
constexpr std::int64_t kMaxBudget = std::int64_t{1} << 31;
constexpr std::int64_t kMaxContext = std::int64_t{1} << 31;

constexpr FieldTreatment kSilent = FieldTreatment::kSilent;
constexpr FieldTreatment kWarn = FieldTreatment::kWarn;
constexpr FieldTreatment kRefuse = FieldTreatment::kRefuse;

// Members that say how Anthropic's servers keep prompts. Prefixes are found here without being marked.
constexpr KnownField kBlockFields[] = {{"cache_control", kSilent, ""}, {"citations", kSilent, ""}};

// What the blocks of one message come to.
struct Turn {
  std::string text;
  bool has_text = false;
  std::string reasoning;
  Json tool_calls = Json::array();
  Json tool_results = Json::array();  // whole messages
};

void add_text(Turn& turn, const std::string& text) {
  if (std::exchange(turn.has_text, true)) turn.text += '\n';
  turn.text += text;
}

void refuse_block(JsonFields& block, const std::string& path, const std::string& type) {
  block.notes().fail(ApiErrorKind::kUnsupported, path,
                     fmt::format("field '{}' is a block of type {}: models here read text, tool_use, tool_result and "
                                 "thinking",
                                 path, json_quoted(type)));
}

// Text of a string or of text blocks.
std::string blocks_text(const Json& content, const std::string& path, RequestNotes& notes) {
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array()) {
    notes.invalid(path, fmt::format("must be a string or an array of blocks; it is {}", describe_json(content)));
    return {};
  }
  Turn turn;
  for (std::size_t i = 0; i < content.size() && notes.ok(); ++i) {
    const std::string block_path = fmt::format("{}[{}]", path, i);
    JsonFields block(content[i], block_path + ".", notes);
    const std::string type = block.required_string("type");
    if (notes.ok() && type != "text") refuse_block(block, block_path, type);
    add_text(turn, block.required_string("text"));
    block.treat(kBlockFields);
    block.finish();
  }
  return turn.text;
}

void read_tool_result(JsonFields& block, const std::string& path, const Json& before, Turn& turn) {
  const std::string id = block.required_string("tool_use_id");
  const Json* content = block.any("content");
  std::string text = content == nullptr ? std::string() : blocks_text(*content, path + ".content", block.notes());
  // The chat templates have no word for it.
  if (block.boolean("is_error").value_or(false)) text = "Error: " + text;
  Json message = {{"role", "tool"}, {"content", std::move(text)}, {"tool_call_id", id}};
  if (std::string name = tool_name_of(before, id); !name.empty()) message["name"] = std::move(name);
  turn.tool_results.push_back(std::move(message));
}

void read_block(const Json& value, const std::string& path, const std::string& role, const Json& before,
                RequestNotes& notes, Turn& turn) {
  JsonFields block(value, path + ".", notes);
  const std::string type = block.required_string("type");
  if (!notes.ok()) return;
  const bool assistant = role == "assistant";
  if (type == "text") {
    add_text(turn, block.required_string("text"));
  } else if (type == "thinking" && assistant) {
    turn.reasoning += block.required_string("thinking");
    block.string("signature");
  } else if (type == "redacted_thinking" && assistant) {
    block.any("data");
    notes.warn("redacted_thinking blocks cannot be read and were left out");
  } else if (type == "tool_use" && assistant) {
    const std::string id = block.required_string("id");
    const std::string name = block.required_string("name");
    const Json* input = block.object("input");
    turn.tool_calls.push_back(
        {{"id", id},
         {"type", "function"},
         {"function", {{"name", name}, {"arguments", input == nullptr ? Json::object() : *input}}}});
    block.any("caller");
  } else if (type == "tool_result" && !assistant) {
    read_tool_result(block, path, before, turn);
  } else {
    refuse_block(block, path, type);
  }
  block.treat(kBlockFields);
  block.finish();
}

void read_turn(const Json& value, const std::string& path, RequestNotes& notes, Json& messages) {
  JsonFields fields(value, path + ".", notes);
  if (!notes.ok()) return;
  if (!fields.has("role")) fields.invalid("role", "is missing");
  const std::string role = fields.choice("role", {"user", "assistant", "system"}).value_or("");
  const Json* content = fields.any("content");
  if (content == nullptr) {
    fields.invalid("content", "is missing");
    return;
  }
  Turn turn;
  if (content->is_array()) {
    for (std::size_t i = 0; i < content->size() && notes.ok(); ++i) {
      read_block((*content)[i], fmt::format("{}.content[{}]", path, i), role, messages, notes, turn);
    }
  } else {
    add_text(turn, blocks_text(*content, path + ".content", notes));
  }
  fields.finish();
  // Results come before what the user says about them.
  for (Json& result : turn.tool_results)
    messages.push_back(std::move(result));
  if (role != "assistant" && !turn.has_text && !turn.tool_results.empty()) return;
  Json message = {{"role", role}, {"content", std::move(turn.text)}};
  if (!turn.reasoning.empty()) message["reasoning_content"] = std::move(turn.reasoning);
  if (!turn.tool_calls.empty()) message["tool_calls"] = std::move(turn.tool_calls);
  messages.push_back(std::move(message));
}

void read_conversation(JsonFields& fields, ChatInput& chat) {
  RequestNotes& notes = fields.notes();
  if (const Json* system = fields.any("system")) {
    std::string text = blocks_text(*system, "system", notes);
    if (!text.empty()) chat.messages.push_back({{"role", "system"}, {"content", std::move(text)}});
  }
  const Json* messages = fields.required_array("messages");
  if (messages == nullptr) return;
  if (messages->empty()) fields.invalid("messages", "has no messages");
  for (std::size_t i = 0; i < messages->size() && notes.ok(); ++i) {
    read_turn((*messages)[i], fmt::format("messages[{}]", i), notes, chat.messages);
  }
  if (!notes.ok() || chat.messages.empty()) return;
  // A conversation that ends with the assistant's words asks to go on with them.
  const Json& last = chat.messages.back();
  if (last["role"] == "assistant" && !last.contains("tool_calls")) {
    chat.continue_final_message = true;
    chat.add_generation_prompt = false;
  }
}

Json read_tool(const Json& value, const std::string& path, RequestNotes& notes) {
  static constexpr KnownField kOthers[] = {
      {"cache_control", kSilent, ""},         {"strict", kSilent, ""},
      {"eager_input_streaming", kSilent, ""}, {"defer_loading", kWarn, "all tools are in the prompt"},
      {"allowed_callers", kSilent, ""},       {"input_examples", kWarn, "chat templates have no place for them"}};
  JsonFields tool(value, path + ".", notes);
  const std::string type = tool.string("type").value_or("custom");
  if (notes.ok() && type != "custom") {
    notes.fail(ApiErrorKind::kUnsupported, path + ".type",
               fmt::format("field '{}.type' is {}: this server has no tools of its own, only those of the caller", path,
                           json_quoted(type)));
  }
  Json function = {{"name", tool.required_string("name")}};
  if (auto description = tool.string("description")) function["description"] = std::move(*description);
  const Json* schema = tool.object("input_schema");
  if (schema == nullptr) tool.invalid("input_schema", "is missing");
  function["parameters"] = schema == nullptr ? Json::object() : *schema;
  tool.treat(kOthers);
  tool.finish();
  return {{"type", "function"}, {"function", std::move(function)}};
}

void read_tool_choice(JsonFields& fields, ChatInput& chat) {
  const Json* value = fields.object("tool_choice");
  if (value == nullptr) return;
  JsonFields choice(*value, "tool_choice.", fields.notes());
  if (!choice.has("type")) choice.invalid("type", "is missing");
  const std::string type = choice.choice("type", {"auto", "any", "tool", "none"}).value_or("auto");
  chat.parallel_tool_calls = !choice.boolean("disable_parallel_tool_use").value_or(false);
  if (type == "none") chat.tool_choice = ToolChoice::kNone;
  if (type == "any") chat.tool_choice = ToolChoice::kRequired;
  if (type == "tool") {
    chat.tool_choice = ToolChoice::kNamed;
    chat.tool_name = choice.required_string("name");
  }
  choice.finish();
  if (!fields.notes().ok() || type == "auto" || type == "none") return;
  const bool known = type == "any" ? !chat.tools.is_null()
                                   : std::any_of(chat.tools.begin(), chat.tools.end(), [&chat](const Json& tool) {
                                       return tool["function"]["name"] == chat.tool_name;
                                     });
  if (!known) choice.invalid(type == "any" ? "type" : "name", "asks for a tool that is not there");
}

void read_tools_of(JsonFields& fields, ChatInput& chat) {
  if (const Json* tools = fields.array("tools"); tools != nullptr && !tools->empty()) {
    if (tools->size() > kMaxTools) {
      fields.invalid("tools", fmt::format("has {} entries; {} are allowed", tools->size(), kMaxTools));
      return;
    }
    chat.tools = Json::array();
    for (std::size_t i = 0; i < tools->size() && fields.notes().ok(); ++i) {
      chat.tools.push_back(read_tool((*tools)[i], fmt::format("tools[{}]", i), fields.notes()));
    }
  }
  if (fields.notes().ok()) read_tool_choice(fields, chat);
}

void read_thinking(JsonFields& fields, ChatInput& chat) {
  if (const Json* value = fields.object("thinking")) {
    JsonFields thinking(*value, "thinking.", fields.notes());
    if (!thinking.has("type")) thinking.invalid("type", "is missing");
    const std::string type = thinking.choice("type", {"enabled", "disabled", "adaptive"}).value_or("");
    if (type == "enabled") chat.think = true;
    if (type == "disabled") chat.think = false;
    if (const auto budget = thinking.integer("budget_tokens", {.min = 1, .max = kMaxBudget})) {
      chat.reasoning_budget = *budget;
    }
    thinking.string("display");
    thinking.finish();
  }
}

void read_output_config(JsonFields& fields, GenerateCall& call, ChatInput& chat) {
  const Json* format = fields.any("output_format");
  std::string path = "output_format";
  if (const Json* value = fields.object("output_config")) {
    JsonFields config(*value, "output_config.", fields.notes());
    if (const auto effort = config.choice("effort", {"low", "medium", "high", "xhigh", "max"})) {
      chat.reasoning_effort = *effort == "low" || *effort == "medium" ? *effort : "high";
    }
    if (const Json* inner = config.any("format")) {
      format = inner;
      path = "output_config.format";
    }
    config.finish();
  }
  if (format != nullptr) read_response_format(*format, path, fields.notes(), call.constraint);
}

}  // namespace

MessagesRequest read_messages_request(const Json& body, const MessagesRules& rules, RequestNotes& notes) {
  static constexpr KnownField kOthers[] = {
      {"service_tier", kSilent, ""},
      {"inference_geo", kSilent, ""},
      {"cache_control", kSilent, ""},
      {"container", kRefuse, "this server has no tools of its own"},
      {"mcp_servers", kRefuse, "this server has no tools of its own"},
      {"context_management", kWarn, "the conversation is taken as it is"},
      {"betas", kSilent, ""},
  };
  MessagesRequest request;
  GenerateCall& call = request.call;
  JsonFields fields(body, "", notes);
  if (!notes.ok()) return request;
  call.options.model = fields.required_string("model");
  if (!rules.counts_only && !fields.has("max_tokens")) fields.invalid("max_tokens", "is missing");
  call.max_tokens = fields.integer("max_tokens", {.min = 1}).value_or(-1);
  ChatInput chat;
  read_conversation(fields, chat);
  read_tools_of(fields, chat);
  read_thinking(fields, chat);
  read_output_config(fields, call, chat);
  call.input = std::move(chat);
  request.stream = fields.boolean("stream").value_or(false);
  read_sampling(fields, call.sampling);
  call.dialect_defaults.temperature = 1.0F;
  call.dialect_defaults.top_p = 1.0F;
  if (auto stop = fields.strings("stop_sequences", kMaxStops)) {
    for (std::string& text : *stop) {
      if (text.empty()) {
        fields.invalid("stop_sequences", "has an empty text");
      } else {
        call.stop.push_back(std::move(text));
      }
    }
  }
  if (const Json* metadata = fields.object("metadata")) {
    JsonFields inner(*metadata, "metadata.", notes);
    call.options.origin.caller_key = inner.string("user_id").value_or("");
  }
  read_keep_alive(fields, call.options);
  call.options.context = fields.integer("num_ctx", {.min = 1, .max = kMaxContext});
  fields.treat(kOthers);
  fields.finish();
  return request;
}

}  // namespace mlxr::server
