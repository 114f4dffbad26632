#include "daemon/server/openai/chat_answer.h"

#include <type_traits>
#include <utility>

#include "daemon/server/answer_json.h"

namespace mlxr::server {
namespace {

Json logprobs_json(const std::vector<AnswerLogprob>& logprobs) {
  Json content = Json::array();
  for (const AnswerLogprob& entry : logprobs)
    content.push_back(logprob_json(entry));
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

class ChatStreamWriter : public OpenAiStreamWriter {
 public:
  ChatStreamWriter(OpenAiHead head, int num_choices)
      : OpenAiStreamWriter(std::move(head), "chat.completion.chunk"), num_choices_(num_choices) {}

  void take(AnswerEvent event, std::size_t /*source*/, http::Exchange& exchange) override {
    std::visit(
        [this, &exchange](const auto& e) {
          using E = std::decay_t<decltype(e)>;
          if constexpr (std::is_same_v<E, LoadProgress> || std::is_same_v<E, PrefillProgress>) {
            if (head_.options.progress) progress(exchange, e);
          } else if constexpr (std::is_same_v<E, AnswerStarted>) {
            started(e);
            if (head_.options.return_token_ids) prompt_ids_ = e.prompt_ids;
          } else if constexpr (std::is_same_v<E, TextDelta>) {
            add_text(exchange, e);
          } else if constexpr (std::is_same_v<E, ReasoningDelta>) {
            add_reasoning(exchange, e);
          } else if constexpr (std::is_same_v<E, ToolCallDelta>) {
            add_call(exchange, e);
          } else if constexpr (std::is_same_v<E, ChoiceFinished>) {
            end_choice(exchange, e);
          } else if constexpr (std::is_same_v<E, AnswerDone>) {
            end(exchange, e);
          } else if constexpr (std::is_same_v<E, AnswerFailed>) {
            fail(exchange, e);
          }
        },
        event);
  }

 private:
  void delta(http::Exchange& exchange, int choice, const Json& delta_json, Json more = Json::object()) {
    begin_choice(exchange, choice);
    send(exchange, choice, delta_json, nullptr, std::move(more), usage_member());
  }

  void send(http::Exchange& exchange, int choice, const Json& delta_json, const Json& reason, Json more,
            std::string_view members) {
    Json entry = {{"index", choice}, {"delta", delta_json}};
    for (auto& [key, value] : more.get_ref<Json::object_t&>())
      entry[key] = std::move(value);
    entry["finish_reason"] = reason;
    chunk(exchange, "[" + json_text(entry) + "]", members);
  }

  // The role comes once for each choice, before anything else of it.
  void begin_choice(http::Exchange& exchange, int choice) {
    if (role_sent_.size() <= static_cast<std::size_t>(choice)) role_sent_.resize(static_cast<std::size_t>(choice) + 1);
    if (role_sent_[static_cast<std::size_t>(choice)]) return;
    role_sent_[static_cast<std::size_t>(choice)] = true;
    std::string members = usage_member();
    if (head_.options.return_token_ids && !std::exchange(ids_sent_, true)) {
      members += ",\"prompt_token_ids\":" + json_text(Json(prompt_ids_));
    }
    send(exchange, choice, {{"role", "assistant"}, {"content", ""}}, nullptr, Json::object(), members);
  }

  Json token_members(const std::vector<TokenId>& tokens) {
    generated_tokens_ += static_cast<std::int64_t>(tokens.size());
    Json more = Json::object();
    if (head_.options.return_token_ids) more["token_ids"] = tokens;
    return more;
  }

  void add_text(http::Exchange& exchange, const TextDelta& event) {
    Json more = token_members(event.tokens);
    if (!event.logprobs.empty()) more["logprobs"] = logprobs_json(event.logprobs);
    // Tokens whose text is still held back come with a later delta; an empty chunk says nothing.
    if (event.text.empty() && more.empty()) return;
    delta(exchange, event.choice, {{"content", event.text}}, std::move(more));
  }

  void add_reasoning(http::Exchange& exchange, const ReasoningDelta& event) {
    Json more = token_members(event.tokens);
    if (!head_.options.include_reasoning || (event.text.empty() && more.empty())) return;
    delta(exchange, event.choice, {{"reasoning_content", event.text}, {"reasoning", event.text}}, std::move(more));
  }

  void add_call(http::Exchange& exchange, const ToolCallDelta& event) {
    Json call = {{"index", event.index}};
    if (!event.id.empty()) call["id"] = event.id;
    Json function = Json::object();
    if (!event.name.empty()) {
      call["type"] = "function";
      function["name"] = event.name;
    }
    function["arguments"] = event.arguments;
    call["function"] = std::move(function);
    Json delta_json = Json::object();
    delta_json["tool_calls"] = Json::array({std::move(call)});
    delta(exchange, event.choice, delta_json);
  }

  // The last choice's end waits for the end of the answer, whose timings it carries.
  void end_choice(http::Exchange& exchange, const ChoiceFinished& event) {
    begin_choice(exchange, event.choice);
    warn_of_finish(event, head_.warnings);
    speculation_.proposed += event.speculation.proposed;
    speculation_.accepted += event.speculation.accepted;
    if (++num_finished_ == num_choices_) {
      held_ = event;
    } else {
      send_end(exchange, event, usage_member());
    }
  }

  void send_end(http::Exchange& exchange, const ChoiceFinished& event, std::string_view members) {
    Json more = Json::object();
    if (Json reason = openai_stop_reason(event); !reason.is_null()) more["stop_reason"] = std::move(reason);
    send(exchange, event.choice, Json::object(), openai_finish_reason(event), std::move(more), members);
  }

  void end(http::Exchange& exchange, const AnswerDone& done) {
    merge_warnings(head_.warnings, done.warnings);
    generated_tokens_ = done.generated_tokens;
    const Json timings = timings_json(done, speculation_);
    if (held_.has_value()) {
      send_end(exchange, *held_, last_members(timings));
    }
    finish(exchange, usage_json(done), timings);
  }

  const int num_choices_;
  std::vector<bool> role_sent_;
  std::vector<TokenId> prompt_ids_;
  bool ids_sent_ = false;
  int num_finished_ = 0;
  std::optional<ChoiceFinished> held_;
  SpecReport speculation_;
};

Json message_json(const OpenAiHead& head, const CollectedChoice& choice) {
  const bool silent = choice.text.empty() && !choice.tool_calls.empty();
  Json message = {{"role", "assistant"}, {"content", silent ? Json(nullptr) : Json(choice.text)}, {"refusal", nullptr}};
  if (!choice.reasoning.empty() && head.options.include_reasoning) {
    message["reasoning_content"] = choice.reasoning;
    message["reasoning"] = choice.reasoning;
  }
  if (!choice.tool_calls.empty()) {
    Json calls = Json::array();
    for (const CollectedToolCall& call : choice.tool_calls) {
      calls.push_back(
          {{"id", call.id}, {"type", "function"}, {"function", {{"name", call.name}, {"arguments", call.arguments}}}});
    }
    message["tool_calls"] = std::move(calls);
  }
  return message;
}

}  // namespace

const char* openai_finish_reason(const ChoiceFinished& finish) {
  switch (finish.reason) {
    case FinishReason::kMaxTokens:
    case FinishReason::kContextFull:
      return "length";
    case FinishReason::kEndOfText:
    case FinishReason::kStopString:
    case FinishReason::kCancelled:
      break;
  }
  return finish.has_tool_calls ? "tool_calls" : "stop";
}

Json openai_stop_reason(const ChoiceFinished& finish) {
  if (finish.reason == FinishReason::kStopString && !finish.stop_string.empty()) return finish.stop_string;
  if (finish.stop_token >= 0) return finish.stop_token;
  return nullptr;
}

void warn_of_finish(const ChoiceFinished& finish, std::vector<std::string>& warnings) {
  if (finish.reason == FinishReason::kCancelled) merge_warnings(warnings, {"the request was cancelled"});
  if (finish.reason == FinishReason::kContextFull) {
    merge_warnings(warnings, {"the answer ended because the context is full"});
  }
}

Json prompt_logprobs_json(const OpenAiHead& head, const CollectedAnswer& answer) {
  Json out = Json::array();
  out.push_back(nullptr);
  for (const Logprobs& each : answer.prefill.logprobs) {
    std::vector<TokenId> tokens = {each.chosen.token};
    std::vector<std::pair<double, std::int64_t>> values = {{each.chosen.logprob, each.rank + 1}};
    std::int64_t rank = 0;
    for (const TokenLogprob& other : each.top) {
      ++rank;
      if (other.token == each.chosen.token) continue;
      tokens.push_back(other.token);
      values.emplace_back(other.logprob, rank);
    }
    const std::vector<std::string> texts = head.pieces(tokens);
    Json entry = Json::object();
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      entry[std::to_string(tokens[i])] = {{"logprob", finite_logprob(values[i].first)},
                                          {"rank", values[i].second},
                                          {"decoded_token", i < texts.size() ? texts[i] : std::string()}};
    }
    out.push_back(std::move(entry));
  }
  return out;
}

std::unique_ptr<AnswerWriter> chat_stream_writer(OpenAiHead head, int num_choices) {
  return std::make_unique<ChatStreamWriter>(std::move(head), num_choices);
}

http::Response chat_response(const OpenAiHead& head, const CollectedAnswer& answer) {
  std::vector<std::string> warnings = head.warnings;
  merge_warnings(warnings, answer.started.warnings);
  merge_warnings(warnings, answer.done.warnings);
  Json choices = Json::array();
  SpecReport speculation;
  for (std::size_t i = 0; i < answer.choices.size(); ++i) {
    const CollectedChoice& choice = answer.choices[i];
    warn_of_finish(choice.finish, warnings);
    speculation.proposed += choice.finish.speculation.proposed;
    speculation.accepted += choice.finish.speculation.accepted;
    Json entry = {{"index", i},
                  {"message", message_json(head, choice)},
                  {"logprobs", choice.logprobs.empty() ? Json(nullptr) : logprobs_json(choice.logprobs)},
                  {"finish_reason", openai_finish_reason(choice.finish)}};
    if (Json reason = openai_stop_reason(choice.finish); !reason.is_null()) entry["stop_reason"] = std::move(reason);
    if (head.options.return_token_ids) entry["token_ids"] = choice.tokens;
    choices.push_back(std::move(entry));
  }
  Json body = {{"id", head.id},       {"object", "chat.completion"}, {"created", head.created},
               {"model", head.model}, {"choices", choices},          {"usage", usage_json(answer.done)}};
  body["system_fingerprint"] = kSystemFingerprint;
  body["timings"] = timings_json(answer.done, speculation);
  if (head.options.return_token_ids) body["prompt_token_ids"] = answer.started.prompt_ids;
  if (head.options.prompt_logprobs) body["prompt_logprobs"] = prompt_logprobs_json(head, answer);
  if (!warnings.empty()) body["warnings"] = warnings;
  http::Response response = http::json_response(200, json_text(body));
  add_warnings(response.fields, warnings);
  return response;
}

}  // namespace mlxr::server
