#include "daemon/server/ollama/ollama_request.h"

#include <algorithm>
#include <utility>

#include <fmt/core.h>

#include "daemon/server/chat_fields.h"
#include "daemon/server/keep_alive.h"

namespace mlxr::server {
namespace {

constexpr std::int64_t kMaxTopLogprobs = 20;
constexpr std::size_t kMaxContextTokens = 1'000'000;
constexpr const char* kNoImages = "models here read text alone";

// true, false, or how much.
struct Thinking {
  std::optional<bool> think;
  std::string effort;
};

Thinking read_think(JsonFields& fields) {
  Thinking out;
  const Json* value = fields.any("think");
  if (value == nullptr) return out;
  if (value->is_boolean()) {
    out.think = value->get<bool>();
    return out;
  }
  const std::string word = value->is_string() ? value->get<std::string>() : std::string();
  if (word != "low" && word != "medium" && word != "high" && word != "max") {
    fields.notes().fail(
        ApiErrorKind::kInvalidRequest, "think",
        fmt::format("invalid think value: {} (must be \"high\", \"medium\", \"low\", \"max\", true, or false)",
                    value->is_string() ? json_quoted(word) : describe_json(*value)));
    return out;
  }
  out.think = true;
  out.effort = word == "max" ? "high" : word;
  if (word == "max") fields.notes().warn("think \"max\" is taken as \"high\"");
  return out;
}

// "json" or a schema.
void read_format(JsonFields& fields, Constraint& constraint) {
  const Json* value = fields.any("format");
  if (value == nullptr || (value->is_string() && value->get_ref<const std::string&>().empty())) return;
  if (value->is_object()) {
    constraint.kind = Constraint::Kind::kJsonSchema;
    constraint.source = json_text(*value);
  } else if (value->is_string() && value->get_ref<const std::string&>() == "json") {
    constraint.kind = Constraint::Kind::kJsonObject;
  } else {
    fields.notes().fail(
        ApiErrorKind::kInvalidRequest, "format",
        fmt::format("invalid format: {}; expected \"json\" or a valid JSON Schema object", describe_json(*value)));
  }
}

void read_logprobs(JsonFields& fields, GenerateCall& call) {
  call.logprobs = fields.boolean("logprobs").value_or(false);
  const auto top = fields.integer("top_logprobs");
  if (!top.has_value()) return;
  if (*top < 0 || *top > kMaxTopLogprobs) {
    fields.notes().fail(ApiErrorKind::kInvalidRequest, "top_logprobs", "top_logprobs must be between 0 and 20");
    return;
  }
  call.top_logprobs = static_cast<int>(*top);
  if (*top > 0 && !call.logprobs) fields.notes().warn("field 'top_logprobs' has no effect: logprobs is not true");
}

// What both routes have.
void read_common(JsonFields& fields, OllamaRequest& request) {
  GenerateCall& call = request.call;
  call.options.model = read_ollama_model(fields);
  read_keep_alive(fields, call.options);
  request.stream = fields.boolean("stream").value_or(true);
  read_format(fields, call.constraint);
  read_ollama_options(fields, call);
  read_logprobs(fields, call);
  call.overflow = fields.boolean("truncate").value_or(true) ? Overflow::kTruncate : Overflow::kRefuse;
  if (fields.boolean("shift").value_or(false)) {
    fields.notes().warn(
        "field 'shift' has no effect: an answer that fills the context ends there, with done_reason length");
  }
  if (fields.boolean("_debug_render_only").value_or(false)) {
    call.render_only = true;
    request.kind = OllamaRequest::Kind::kRender;
  }
}

void refuse_images(JsonFields& fields) {
  static constexpr KnownField kImages[] = {{"images", FieldTreatment::kRefuse, kNoImages},
                                           {"width", FieldTreatment::kRefuse, "models here write text alone"},
                                           {"height", FieldTreatment::kRefuse, "models here write text alone"},
                                           {"steps", FieldTreatment::kRefuse, "models here write text alone"}};
  fields.treat(kImages);
}

void load_or_unload(OllamaRequest& request) {
  const auto& keep_alive = request.call.options.keep_alive;
  request.kind =
      keep_alive.has_value() && keep_alive->count() == 0 ? OllamaRequest::Kind::kUnload : OllamaRequest::Kind::kLoad;
}

// Ollama's registry has templates in Go's language; what is rendered here is Jinja.
bool is_go_template(const std::string& text) {
  for (std::size_t at = text.find("{{"); at != std::string::npos; at = text.find("{{", at + 2)) {
    std::size_t begin = at + 2;
    if (begin < text.size() && text[begin] == '-') ++begin;
    begin = std::min(text.find_first_not_of(" \t\r\n", begin), text.size());
    const std::string_view rest = std::string_view(text).substr(begin);
    if (rest.starts_with('.') || rest.starts_with('$')) return true;
    for (const std::string_view word : {"if ", "range ", "with ", "end", "else", "define ", "template ", "block "}) {
      if (rest.starts_with(word)) return true;
    }
  }
  return false;
}

struct GenerateFields {
  std::string prompt;
  std::optional<std::string> suffix;
  std::optional<std::string> system;
  std::string chat_template;
  std::vector<TokenId> context;
  bool raw = false;
  Thinking thinking;
};

GenerateFields read_generate_fields(JsonFields& fields) {
  GenerateFields out;
  out.prompt = fields.string("prompt").value_or("");
  out.suffix = fields.string("suffix");
  if (out.suffix == "") out.suffix.reset();
  out.system = fields.string("system");
  if (out.system == "") out.system.reset();
  out.chat_template = fields.string("template").value_or("");
  if (auto tokens = fields.tokens("context", kMaxContextTokens)) out.context = std::move(*tokens);
  out.raw = fields.boolean("raw").value_or(false);
  out.thinking = read_think(fields);
  if (is_go_template(out.chat_template)) {
    fields.notes().fail(ApiErrorKind::kUnsupported, "template",
                        "field 'template' is in Go's template language, which is not supported: say it in Jinja");
  }
  return out;
}

void put_text(GenerateFields&& given, RequestNotes& notes, GenerateCall& call) {
  const bool others = given.system.has_value() || !given.chat_template.empty() || !given.context.empty();
  if (given.raw && others) {
    notes.fail(ApiErrorKind::kInvalidRequest, {}, "raw mode does not support template, system, or context");
    return;
  }
  if (others) notes.warn("fields 'system', 'template' and 'context' have no effect: suffix fills in the middle");
  if (given.thinking.think.value_or(false)) notes.warn("field 'think' has no effect: there is no chat template in use");
  TextInput text;
  text.text = std::move(given.prompt);
  text.suffix = std::move(given.suffix);
  call.input = std::move(text);
}

void put_chat(GenerateFields&& given, GenerateCall& call) {
  ChatInput chat;
  if (given.system.has_value()) chat.messages.push_back({{"role", "system"}, {"content", *given.system}});
  chat.messages.push_back({{"role", "user"}, {"content", std::move(given.prompt)}});
  chat.chat_template = std::move(given.chat_template);
  chat.earlier_tokens = std::move(given.context);
  chat.text_without_template = true;
  chat.think = given.thinking.think;
  chat.reasoning_effort = std::move(given.thinking.effort);
  call.input = std::move(chat);
}

// --- messages --------------------------------------------------------------------------------------------------------

Json read_call(const Json& value, const std::string& path, RequestNotes& notes) {
  JsonFields fields(value, path + ".", notes);
  Json out = Json::object();
  if (auto id = fields.string("id"); id.has_value() && !id->empty()) out["id"] = std::move(*id);
  fields.string("type");
  out["type"] = "function";
  const Json* function = fields.object("function");
  fields.finish();
  if (function == nullptr) {
    fields.invalid("function", "is missing");
    return out;
  }
  JsonFields inner(*function, path + ".function.", notes);
  inner.integer("index");
  Json called = {{"name", inner.required_string("name")}};
  const Json* arguments = inner.any("arguments");
  if (arguments != nullptr && arguments->is_string()) {
    called["arguments"] = tool_arguments(arguments->get_ref<const std::string&>(), inner.path_of("arguments"), notes);
  } else {
    if (arguments != nullptr && !arguments->is_object())
      inner.invalid("arguments", fmt::format("must be an object; it is {}", describe_json(*arguments)));
    called["arguments"] = arguments != nullptr ? *arguments : Json::object();
  }
  inner.finish();
  out["function"] = std::move(called);
  return out;
}

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

Json read_message(const Json& value, const std::string& path, const Json& before, RequestNotes& notes) {
  JsonFields fields(value, path + ".", notes);
  Json message = Json::object();
  if (!value.is_object()) return message;
  std::string role = lower_case(fields.string("role").value_or(""));
  if (role == "developer") role = "system";
  if (role != "system" && role != "user" && role != "assistant" && role != "tool") {
    fields.invalid("role", fmt::format("must be one of system, user, assistant, tool; it is {}", json_quoted(role)));
  }
  message["role"] = role;
  const Json* content = fields.any("content");
  message["content"] = content == nullptr ? std::string() : content_text(*content, path + ".content", notes);
  if (auto thinking = fields.string("thinking"); thinking.has_value() && !thinking->empty())
    message["reasoning_content"] = std::move(*thinking);
  if (const Json* calls = fields.array("tool_calls"); calls != nullptr && !calls->empty()) {
    Json out = Json::array();
    for (std::size_t i = 0; i < calls->size(); ++i)
      out.push_back(read_call((*calls)[i], fields.path_of(fmt::format("tool_calls[{}]", i)), notes));
    message["tool_calls"] = std::move(out);
  }
  const std::string call_id = fields.string("tool_call_id").value_or("");
  std::string name = fields.string("tool_name").value_or("");
  if (const auto other = fields.string("name"); name.empty() && other.has_value()) name = *other;
  if (role == "tool" && !call_id.empty()) {
    message["tool_call_id"] = call_id;
    if (name.empty()) name = tool_name_of(before, call_id);
  }
  if (!name.empty()) message["name"] = name;
  refuse_images(fields);
  fields.finish();
  return message;
}

bool is_prefill(const Json& message) {
  return message["role"] == "assistant" && !message.contains("tool_calls") &&
         !message["content"].get_ref<const std::string&>().empty();
}

}  // namespace

std::string read_ollama_model(JsonFields& fields) {
  std::string model = fields.string("model").value_or("");
  const std::string name = fields.string("name").value_or("");
  if (model.empty()) model = name;
  if (model.empty()) fields.invalid("model", "is missing");
  return model;
}

OllamaRequest read_ollama_generate(const Json& body, RequestNotes& notes) {
  OllamaRequest request;
  JsonFields fields(body, "", notes);
  if (!notes.ok()) return request;
  read_common(fields, request);
  GenerateFields given = read_generate_fields(fields);
  refuse_images(fields);
  fields.finish();
  if (given.prompt.empty() && !given.suffix.has_value()) load_or_unload(request);
  // With a raw prompt the caller has the tokens in hand already.
  request.with_context = !given.raw;
  request.call.echo = request.with_context && request.kind == OllamaRequest::Kind::kGenerate;
  if (given.raw || given.suffix.has_value()) {
    put_text(std::move(given), notes, request.call);
  } else {
    put_chat(std::move(given), request.call);
  }
  return request;
}

OllamaRequest read_ollama_chat(const Json& body, RequestNotes& notes) {
  OllamaRequest request;
  request.chat = true;
  JsonFields fields(body, "", notes);
  if (!notes.ok()) return request;
  read_common(fields, request);
  ChatInput chat;
  const Json* messages = fields.array("messages");
  for (std::size_t i = 0; messages != nullptr && i < messages->size() && notes.ok(); ++i) {
    chat.messages.push_back(read_message((*messages)[i], fmt::format("messages[{}]", i), chat.messages, notes));
  }
  read_tools(fields, chat);
  Thinking thinking = read_think(fields);
  chat.think = thinking.think;
  chat.reasoning_effort = std::move(thinking.effort);
  fields.finish();
  if (!notes.ok()) return request;
  if (chat.messages.empty()) {
    load_or_unload(request);
  } else if (is_prefill(chat.messages.back())) {
    chat.continue_final_message = true;
    chat.add_generation_prompt = false;
  }
  request.call.input = std::move(chat);
  return request;
}

}  // namespace mlxr::server
