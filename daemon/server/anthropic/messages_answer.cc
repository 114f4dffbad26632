#include "daemon/server/anthropic/messages_answer.h"

#include <optional>
#include <type_traits>
#include <utility>

#include "daemon/server/answer_json.h"
#include "daemon/server/anthropic/anthropic_errors.h"
#include "daemon/server/json.h"
#include "daemon/server/sse.h"

namespace mlxr::server {
namespace {

// Anthropic counts what was found in the cache apart.
Json message_usage(std::int64_t prompt_tokens, std::int64_t cached_tokens, std::int64_t output_tokens) {
  return {{"input_tokens", prompt_tokens - cached_tokens},
          {"cache_creation_input_tokens", 0},
          {"cache_read_input_tokens", cached_tokens},
          {"output_tokens", output_tokens}};
}

const char* stop_reason(const ChoiceFinished& finish) {
  switch (finish.reason) {
    case FinishReason::kMaxTokens:
      return "max_tokens";
    case FinishReason::kContextFull:
      return "model_context_window_exceeded";
    case FinishReason::kStopString:
      return "stop_sequence";
    case FinishReason::kEndOfText:
    case FinishReason::kCancelled:
      break;
  }
  return finish.has_tool_calls ? "tool_use" : "end_turn";
}

Json stop_sequence(const ChoiceFinished& finish) {
  return finish.reason == FinishReason::kStopString ? Json(finish.stop_string) : Json(nullptr);
}

void warn_of_cancel(const ChoiceFinished& finish, std::vector<std::string>& warnings) {
  if (finish.reason == FinishReason::kCancelled) merge_warnings(warnings, {"the request was cancelled"});
}

Json message_json(const MessageHead& head, Json content, Json reason, Json sequence, Json usage) {
  return {{"id", head.id},
          {"type", "message"},
          {"role", "assistant"},
          {"model", head.model},
          {"content", std::move(content)},
          {"stop_reason", std::move(reason)},
          {"stop_sequence", std::move(sequence)},
          {"usage", std::move(usage)}};
}

class MessageStreamWriter : public AnswerWriter {
 public:
  explicit MessageStreamWriter(MessageHead head) : head_(std::move(head)) {
    sse_.fields().add("request-id", head_.request_id);
  }

  bool over() const override { return over_; }

  void idle(http::Exchange& exchange) override {
    if (!sse_.take_activity()) send(exchange, "ping", Json::object());
  }

  void take(AnswerEvent event, std::size_t /*source*/, http::Exchange& exchange) override {
    std::visit(
        [this, &exchange](const auto& e) {
          using E = std::decay_t<decltype(e)>;
          if constexpr (std::is_same_v<E, AnswerStarted>) {
            prompt_tokens_ = e.prompt_tokens;
            merge_warnings(head_.warnings, e.warnings);
          } else if constexpr (std::is_same_v<E, PrefillDone>) {
            cached_tokens_ = e.cached_tokens;
          } else if constexpr (std::is_same_v<E, TextDelta>) {
            if (e.text.empty()) return;
            open(exchange, Block::kText, -1, {{"type", "text"}, {"text", ""}});
            delta(exchange, {{"type", "text_delta"}, {"text", e.text}});
          } else if constexpr (std::is_same_v<E, ReasoningDelta>) {
            if (e.text.empty()) return;
            open(exchange, Block::kThinking, -1, {{"type", "thinking"}, {"thinking", ""}, {"signature", ""}});
            delta(exchange, {{"type", "thinking_delta"}, {"thinking", e.text}});
          } else if constexpr (std::is_same_v<E, ToolCallDelta>) {
            add_call(exchange, e);
          } else if constexpr (std::is_same_v<E, ChoiceFinished>) {
            finish_ = e;
          } else if constexpr (std::is_same_v<E, AnswerDone>) {
            end(exchange, e);
          } else if constexpr (std::is_same_v<E, AnswerFailed>) {
            fail(exchange, to_api_error(e));
          }
        },
        event);
  }

 private:
  enum class Block : std::uint8_t { kNone, kText, kThinking, kTool };

  void send(http::Exchange& exchange, const char* type, Json members) {
    if (!sse_.began()) add_warnings(sse_.fields(), head_.warnings);
    Json data = {{"type", type}};
    for (auto& [key, value] : members.get_ref<Json::object_t&>())
      data[key] = std::move(value);
    sse_.event(exchange, type, json_text(data));
  }

  void begin(http::Exchange& exchange) {
    if (std::exchange(began_, true)) return;
    Json members = Json::object();
    members["message"] =
        message_json(head_, Json::array(), nullptr, nullptr, message_usage(prompt_tokens_, cached_tokens_, 0));
    send(exchange, "message_start", std::move(members));
  }

  // Goes on with the block that is open when it is of this kind and, of tools, the same call.
  void open(http::Exchange& exchange, Block block, int call, Json start) {
    begin(exchange);
    if (block_ == block && call_ == call) return;
    close(exchange);
    block_ = block;
    call_ = call;
    send(exchange, "content_block_start", {{"index", index_}, {"content_block", std::move(start)}});
  }

  void delta(http::Exchange& exchange, Json change) {
    send(exchange, "content_block_delta", {{"index", index_}, {"delta", std::move(change)}});
  }

  void close(http::Exchange& exchange) {
    if (block_ == Block::kNone) return;
    // Clients of Anthropic wait for one; there is nothing here to sign with.
    if (block_ == Block::kThinking) delta(exchange, {{"type", "signature_delta"}, {"signature", ""}});
    Json members = Json::object();
    members["index"] = index_++;
    send(exchange, "content_block_stop", std::move(members));
    block_ = Block::kNone;
  }

  void add_call(http::Exchange& exchange, const ToolCallDelta& event) {
    open(exchange, Block::kTool, event.index,
         {{"type", "tool_use"}, {"id", event.id}, {"name", event.name}, {"input", Json::object()}});
    if (!event.arguments.empty()) {
      delta(exchange, {{"type", "input_json_delta"}, {"partial_json", event.arguments}});
    }
  }

  void end(http::Exchange& exchange, const AnswerDone& done) {
    merge_warnings(head_.warnings, done.warnings);
    warn_of_cancel(finish_, head_.warnings);
    begin(exchange);
    close(exchange);
    Json members = {{"delta", {{"stop_reason", stop_reason(finish_)}, {"stop_sequence", stop_sequence(finish_)}}},
                    {"usage", message_usage(done.prompt_tokens, done.cached_tokens, done.generated_tokens)}};
    if (!head_.warnings.empty()) members["warnings"] = head_.warnings;
    send(exchange, "message_delta", std::move(members));
    send(exchange, "message_stop", Json::object());
    over_ = true;
    exchange.end();
  }

  void fail(http::Exchange& exchange, const ApiError& error) {
    over_ = true;
    if (!sse_.began()) {
      exchange.respond(anthropic_error(error, head_.request_id));
      return;
    }
    sse_.event(exchange, "error", anthropic_error_body(error, head_.request_id));
    exchange.end();
  }

  MessageHead head_;
  SseStream sse_;
  bool over_ = false;
  bool began_ = false;
  std::int64_t prompt_tokens_ = 0;
  std::int64_t cached_tokens_ = 0;
  Block block_ = Block::kNone;
  int call_ = -1;
  int index_ = 0;
  ChoiceFinished finish_;
};

}  // namespace

std::unique_ptr<AnswerWriter> message_stream_writer(MessageHead head) {
  return std::make_unique<MessageStreamWriter>(std::move(head));
}

http::Response message_response(const MessageHead& head, const CollectedAnswer& answer) {
  std::vector<std::string> warnings = head.warnings;
  merge_warnings(warnings, answer.started.warnings);
  merge_warnings(warnings, answer.done.warnings);
  static const CollectedChoice kNothing;
  const CollectedChoice& choice = answer.choices.empty() ? kNothing : answer.choices.front();
  warn_of_cancel(choice.finish, warnings);
  Json content = Json::array();
  if (!choice.reasoning.empty()) {
    content.push_back({{"type", "thinking"}, {"thinking", choice.reasoning}, {"signature", ""}});
  }
  if (!choice.text.empty()) content.push_back({{"type", "text"}, {"text", choice.text}});
  for (const CollectedToolCall& call : choice.tool_calls) {
    Result<Json> input = parse_json_text(call.arguments);
    content.push_back({{"type", "tool_use"},
                       {"id", call.id},
                       {"name", call.name},
                       {"input", input.ok() ? std::move(input).value() : Json::object()}});
  }
  const AnswerDone& done = answer.done;
  Json body = message_json(head, std::move(content), stop_reason(choice.finish), stop_sequence(choice.finish),
                           message_usage(done.prompt_tokens, done.cached_tokens, done.generated_tokens));
  if (!warnings.empty()) body["warnings"] = warnings;
  http::Response response = http::json_response(200, json_text(body));
  response.fields.add("request-id", head.request_id);
  add_warnings(response.fields, warnings);
  return response;
}

}  // namespace mlxr::server
