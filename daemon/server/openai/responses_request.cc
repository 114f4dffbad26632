#include "daemon/server/openai/responses_request.h"

#include <utility>

#include <fmt/core.h>

#include "daemon/server/chat_fields.h"
#include "daemon/server/constraint_fields.h"
#include "daemon/server/openai/chat_request.h"
#include "daemon/server/openai/response_items.h"
#include "daemon/server/sampling_json.h"

namespace mlxr::server {
namespace {

constexpr std::int64_t kMaxTopLogprobs = 20;
constexpr std::int64_t kMaxBudget = std::int64_t{1} << 31;
constexpr std::size_t kMaxIncludes = 64;

constexpr KnownField kOthers[] = {
    {"background", FieldTreatment::kRefuse, "say stream, and keep the connection"},
    {"conversation", FieldTreatment::kRefuse, "say previous_response_id"},
    {"prompt", FieldTreatment::kRefuse, "there are no stored prompts"},
    {"max_tool_calls", FieldTreatment::kWarn, "it counts calls of built-in tools, and there are none"},
    {"context_management", FieldTreatment::kWarn, "the conversation is taken as it is"},
};

void read_input(JsonFields& fields, Json& items) {
  const Json* input = fields.any("input");
  if (input == nullptr) {
    fields.invalid("input", "is missing");
  } else if (input->is_string()) {
    items.push_back({{"type", "message"},
                     {"role", "user"},
                     {"content", Json::array({{{"type", "input_text"}, {"text", *input}}})}});
  } else if (input->is_array()) {
    items = *input;
  } else {
    fields.invalid("input", fmt::format("must be a string or an array of items; it is {}", describe_json(*input)));
  }
}

void read_reasoning_and_text(JsonFields& fields, GenerateCall& call, ChatInput& chat, Json& shown) {
  Json reasoning = {{"effort", nullptr}, {"summary", nullptr}};
  if (const Json* value = fields.object("reasoning")) {
    JsonFields inner(*value, "reasoning.", fields.notes());
    if (const auto word = inner.choice("effort", {"none", "minimal", "low", "medium", "high", "xhigh", "max"})) {
      set_reasoning_effort(*word, chat);
      reasoning["effort"] = *word;
    }
    if (const auto summary = inner.string("summary")) reasoning["summary"] = *summary;
    inner.string("generate_summary");
    if (const auto tokens = inner.integer("max_tokens", {.min = -1, .max = kMaxBudget})) {
      chat.reasoning_budget = *tokens;
    }
    inner.finish();
  }
  shown["reasoning"] = std::move(reasoning);
  shown["text"] = {{"format", {{"type", "text"}}}};
  if (const Json* text = fields.object("text")) {
    static constexpr KnownField kTextFields[] = {
        {"verbosity", FieldTreatment::kWarn, "models here have no such control"}};
    JsonFields inner(*text, "text.", fields.notes());
    if (const Json* format = inner.object("format")) {
      read_response_format(*format, "text.format", fields.notes(), call.constraint);
      shown["text"]["format"] = *format;
    }
    inner.treat(kTextFields);
    inner.finish();
  }
}

// Built-in tools of OpenAI's servers are left out with a warning each: agents offer them to every model.
void read_own_tools(JsonFields& fields, ChatInput& chat, Json& shown) {
  Json members = Json::object();
  shown["tools"] = Json::array();
  if (const Json* tools = fields.array("tools")) {
    Json functions = Json::array();
    for (const Json& tool : *tools) {
      const std::string type = tool.is_object() && tool.contains("type") && tool["type"].is_string()
                                   ? tool["type"].get<std::string>()
                                   : std::string("function");
      if (type == "function") {
        functions.push_back(tool);
      } else {
        fields.notes().warn(
            fmt::format("the tool of type {} was left out: this server has no tools of its own", json_quoted(type)));
      }
    }
    members["tools"] = std::move(functions);
    shown["tools"] = members["tools"];
  }
  for (const char* name : {"tool_choice", "parallel_tool_calls"}) {
    if (const Json* value = fields.any(name)) members[name] = *value;
  }
  JsonFields inner(members, "", fields.notes());
  read_tools(inner, chat);
  shown["tool_choice"] = members.contains("tool_choice") ? members["tool_choice"] : Json("auto");
  shown["parallel_tool_calls"] = chat.parallel_tool_calls;
}

void read_include(JsonFields& fields, GenerateCall& call) {
  const auto include = fields.strings("include", kMaxIncludes);
  if (!include.has_value()) return;
  for (const std::string& each : *include) {
    if (each == "message.output_text.logprobs") {
      call.logprobs = true;
      // Reasoning is not encrypted here: it comes as it is.
    } else if (each != "reasoning.encrypted_content") {
      fields.notes().warn(fmt::format("include {} has no effect", json_quoted(each)));
    }
  }
}

template <class T>
Json or_null(const std::optional<T>& value) {
  return value.has_value() ? Json(*value) : Json(nullptr);
}

}  // namespace

ResponsesRequest read_responses_request(const Json& body, RequestNotes& notes) {
  ResponsesRequest request;
  GenerateCall& call = request.call;
  Json& shown = request.shown;
  JsonFields fields(body, "", notes);
  if (!notes.ok()) return request;
  call.options.model = fields.required_string("model");
  const std::optional<std::string> user = fields.has("user") ? fields.string("user") : std::nullopt;
  read_origin(fields, call.options);
  read_stream(fields, call, request.answer);
  call.dialect_defaults = openai_sampling_defaults();
  read_sampling(fields, call.sampling);
  read_logit_bias(fields, call.sampling);
  read_stops(fields, call);
  read_input(fields, request.input);
  request.previous_id = fields.string("previous_response_id").value_or("");
  request.store = fields.boolean("store").value_or(true);
  const std::optional<std::string> instructions = fields.string("instructions");
  const auto max_tokens = fields.integer("max_output_tokens", {.min = 1});
  call.max_tokens = max_tokens.value_or(-1);
  const std::string truncation = fields.choice("truncation", {"auto", "disabled"}).value_or("disabled");
  if (truncation == "auto") call.overflow = Overflow::kTruncate;

  shown["instructions"] = or_null(instructions);
  shown["max_output_tokens"] = or_null(max_tokens);
  ChatInput chat;
  if (instructions.has_value()) chat.messages.push_back({{"role", "system"}, {"content", *instructions}});
  read_own_tools(fields, chat, shown);
  read_reasoning_and_text(fields, call, chat, shown);
  if (const Json* variables = fields.object("chat_template_kwargs"); variables != nullptr && !variables->empty()) {
    chat.template_variables = *variables;
  }
  call.input = std::move(chat);

  const auto top_logprobs = fields.integer("top_logprobs", {.min = 0, .max = kMaxTopLogprobs});
  call.top_logprobs = static_cast<int>(top_logprobs.value_or(0));
  if (call.top_logprobs > 0) call.logprobs = true;
  read_include(fields, call);
  shown["previous_response_id"] = request.previous_id.empty() ? Json(nullptr) : Json(request.previous_id);
  shown["store"] = request.store;
  shown["temperature"] = call.sampling.temperature.value_or(1.0F);
  shown["top_p"] = call.sampling.top_p.value_or(1.0F);
  shown["top_logprobs"] = call.top_logprobs;
  shown["truncation"] = truncation;
  shown["user"] = or_null(user);
  const Json* metadata = fields.object("metadata");
  shown["metadata"] = metadata == nullptr ? Json::object() : *metadata;
  // `store` is read above; the rest of the table holds here too.
  fields.treat(kOthers);
  for (const char* name : {"service_tier", "safety_identifier", "prompt_cache_retention", "client_metadata"}) {
    fields.any(name);
  }
  fields.finish();
  return request;
}

void read_conversation(ResponsesRequest& request, const std::vector<StoredResponse>& before, RequestNotes& notes) {
  auto& chat = std::get<ChatInput>(request.call.input);
  ItemsToMessages items(chat.messages, notes);
  for (const StoredResponse& turn : before) {
    // What was stored has been read before: nothing in it is news to this request.
    RequestNotes stored;
    ItemsToMessages old_items(chat.messages, stored);
    const Result<Json> input = parse_json_text(turn.input_json);
    const Result<Json> output = parse_json_text(turn.output_json);
    const bool whole = input.ok() && output.ok() && input->is_array() && output->is_object() &&
                       output->contains("output") && (*output)["output"].is_array();
    if (whole) {
      for (const Json& item : *input)
        old_items.add(item, "input");
      for (const Json& item : (*output)["output"])
        old_items.add(item, "output");
      old_items.finish();
    }
    if (!whole || !stored.ok()) {
      notes.fail(ApiErrorKind::kInternal, {}, fmt::format("the stored response {} cannot be read", turn.id));
      return;
    }
  }
  for (std::size_t i = 0; i < request.input.size() && notes.ok(); ++i) {
    items.add(request.input[i], fmt::format("input[{}]", i));
  }
  items.finish();
  if (notes.ok() && chat.messages.empty()) notes.invalid("input", "has no items");
}

}  // namespace mlxr::server
