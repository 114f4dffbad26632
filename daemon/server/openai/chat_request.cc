#include "daemon/server/openai/chat_request.h"

#include <algorithm>
#include <utility>

#include "daemon/server/chat_fields.h"

namespace mlxr::server {
namespace {

constexpr std::int64_t kMaxTopLogprobs = 20;
constexpr std::int64_t kMaxBudget = std::int64_t{1} << 31;

void read_reasoning(JsonFields& fields, ChatInput& chat, OpenAiAnswerOptions& answer) {
  const auto effort = [](JsonFields& from, std::string_view name) {
    return from.choice(name, {"none", "minimal", "low", "medium", "high", "xhigh", "ultra", "max"});
  };
  if (const auto word = effort(fields, "reasoning_effort")) set_reasoning_effort(*word, chat);
  if (const Json* reasoning = fields.object("reasoning")) {
    JsonFields inner(*reasoning, "reasoning.", fields.notes());
    if (const auto word = effort(inner, "effort")) set_reasoning_effort(*word, chat);
    if (const auto enabled = inner.boolean("enabled"); enabled == false) chat.think = false;
    if (const auto tokens = inner.integer("max_tokens", {.min = -1, .max = kMaxBudget})) {
      chat.reasoning_budget = *tokens;
    }
    if (inner.boolean("exclude").value_or(false)) answer.include_reasoning = false;
    inner.string("summary");
    inner.finish();
  }
  for (const char* name : {"thinking_token_budget", "thinking_budget_tokens", "reasoning_budget"}) {
    if (const auto tokens = fields.integer(name, {.min = -1, .max = kMaxBudget})) chat.reasoning_budget = *tokens;
  }
  if (const Json* think = fields.any("think")) {
    if (think->is_boolean()) {
      chat.think = think->get<bool>();
    } else if (const auto word = effort(fields, "think")) {
      set_reasoning_effort(*word, chat);
      if (*word != "none") chat.think = true;
    }
  }
  if (!fields.boolean("include_reasoning").value_or(true)) answer.include_reasoning = false;
  const auto format = fields.choice("reasoning_format", {"auto", "none", "deepseek", "deepseek-legacy"});
  if (format == "none") {
    chat.parse_output = false;
    if (!chat.tools.is_null()) {
      fields.invalid("reasoning_format", "is none, which leaves calls in the text too: it does not go with tools");
    }
  }
}

void read_template(JsonFields& fields, ChatInput& chat) {
  chat.chat_template = fields.string("chat_template").value_or("");
  if (const Json* variables = fields.object("chat_template_kwargs"); variables != nullptr && !variables->empty()) {
    chat.template_variables = *variables;
    const auto enable = variables->find("enable_thinking");
    if (enable != variables->end() && enable->is_boolean() && !enable->get<bool>()) chat.think = false;
  }
  if (const Json* documents = fields.array("documents"); documents != nullptr && !documents->empty()) {
    if (chat.template_variables.is_null()) chat.template_variables = Json::object();
    chat.template_variables["documents"] = *documents;
  }
  if (const auto add = fields.boolean("add_generation_prompt")) chat.add_generation_prompt = *add;
  if (const auto go_on = fields.boolean("continue_final_message"); go_on.value_or(false)) {
    chat.continue_final_message = true;
    // vLLM's clients must say both; it cannot mean anything else.
    chat.add_generation_prompt = false;
  }
  if (!chat.continue_final_message || chat.messages.empty() || !fields.notes().ok()) return;
  if (chat.messages.back().value("role", "") != "assistant") {
    fields.invalid("continue_final_message", "is true, and the final message is not the assistant's");
  }
}

void read_logprobs(JsonFields& fields, GenerateCall& call) {
  call.logprobs = fields.boolean("logprobs").value_or(false);
  if (const auto top = fields.integer("top_logprobs", {.min = 0, .max = kMaxTopLogprobs})) {
    if (*top > 0 && !call.logprobs) fields.invalid("top_logprobs", "needs logprobs: true");
    call.top_logprobs = std::max(call.top_logprobs, static_cast<int>(*top));
  }
  if (const auto probs = fields.integer("n_probs", {.min = 0, .max = kMaxTopLogprobs}); probs.value_or(0) > 0) {
    call.logprobs = true;
    call.top_logprobs = static_cast<int>(*probs);
  }
}

}  // namespace

void set_reasoning_effort(const std::string& effort, ChatInput& chat) {
  if (effort == "none") {
    chat.think = false;
  } else if (effort == "minimal" || effort == "low") {
    chat.reasoning_effort = "low";
  } else if (effort == "medium") {
    chat.reasoning_effort = "medium";
  } else {
    chat.reasoning_effort = "high";
  }
}

ChatRequest read_chat_request(const Json& body, RequestNotes& notes) {
  ChatRequest request;
  GenerateCall& call = request.call;
  JsonFields fields(body, "", notes);
  if (!notes.ok()) return request;
  read_generation(fields, call, request.answer);
  ChatInput chat;
  read_messages(fields, chat);
  read_tools(fields, chat);
  read_reasoning(fields, chat, request.answer);
  read_template(fields, chat);
  read_logprobs(fields, call);
  // The newer name wins; the last one is llama-server's.
  for (const char* name : {"n_predict", "max_tokens", "max_completion_tokens"}) {
    if (const auto count = fields.integer(name, {.min = -1})) call.max_tokens = *count;
  }
  if (fields.boolean("echo").value_or(false)) {
    fields.notes().fail(ApiErrorKind::kUnsupported, "echo",
                        "field 'echo' is not supported: /v1/completions has it, for prompts of text");
  }
  call.input = std::move(chat);
  treat_other_fields(fields);
  fields.finish();
  return request;
}

}  // namespace mlxr::server
