#include "daemon/server/openai/completion_request.h"

#include <algorithm>
#include <utility>

#include "daemon/server/prompt_fields.h"

namespace mlxr::server {
namespace {

constexpr std::int64_t kDefaultMaxTokens = 16;
constexpr std::int64_t kMaxLogprobs = 20;

void read_limits(JsonFields& fields, GenerateCall& call) {
  call.max_tokens = kDefaultMaxTokens;
  for (const char* name : {"n_predict", "max_completion_tokens", "max_tokens"}) {
    if (const auto count = fields.integer(name, {.min = -1})) call.max_tokens = *count;
  }
}

// An integer, as it has always been here; true and false come from clients of the chat route.
void read_legacy_logprobs(JsonFields& fields, GenerateCall& call) {
  const Json* value = fields.any("logprobs");
  if (value == nullptr) return;
  if (value->is_boolean()) {
    call.logprobs = value->get<bool>();
    return;
  }
  if (const auto top = fields.integer("logprobs", {.min = 0, .max = kMaxLogprobs})) {
    call.logprobs = true;
    call.top_logprobs = std::max(call.top_logprobs, static_cast<int>(*top));
  }
}

}  // namespace

CompletionRequest read_completion_request(const Json& body, RequestNotes& notes) {
  CompletionRequest request;
  JsonFields fields(body, "", notes);
  if (!notes.ok()) return request;
  GenerateCall call;
  read_generation(fields, call, request.answer);
  std::vector<Prompt> prompts = read_prompts(fields, "prompt");
  const std::optional<std::string> suffix = fields.string("suffix");
  read_limits(fields, call);
  read_legacy_logprobs(fields, call);
  request.echo = fields.boolean("echo").value_or(false);
  if (request.echo) {
    call.echo = true;
    // The text of the prompt has log probabilities too.
    if (call.logprobs) call.prompt_logprobs = true;
    if (suffix.has_value()) fields.invalid("echo", "does not go with suffix");
  }
  const bool add_special = fields.boolean("add_special_tokens").value_or(true);
  treat_other_fields(fields);
  fields.finish();
  if (!notes.ok()) return request;
  for (Prompt& prompt : prompts) {
    GenerateCall each = call;
    if (auto* tokens = std::get_if<std::vector<TokenId>>(&prompt)) {
      if (suffix.has_value()) {
        fields.invalid("suffix", "does not go with prompts of tokens");
        return request;
      }
      each.input = TokenInput{.tokens = std::move(*tokens)};
    } else {
      TextInput text;
      text.text = std::move(std::get<std::string>(prompt));
      text.suffix = suffix;
      text.add_special = add_special;
      each.input = std::move(text);
    }
    request.calls.push_back(std::move(each));
  }
  return request;
}

}  // namespace mlxr::server
