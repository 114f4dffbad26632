#include "daemon/server/ollama/ollama_answer.h"

#include <cmath>
#include <ctime>
#include <type_traits>
#include <utility>

#include <fmt/core.h>

#include "daemon/server/answer_json.h"
#include "daemon/server/ollama/ndjson.h"
#include "daemon/server/ollama/ollama_errors.h"

namespace mlxr::server {
namespace {

constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;

const char* done_reason(const ChoiceFinished& finish) {
  return finish.reason == FinishReason::kMaxTokens || finish.reason == FinishReason::kContextFull ? "length" : "stop";
}

void warn_of_finish(const ChoiceFinished& finish, std::vector<std::string>& warnings) {
  if (finish.reason == FinishReason::kCancelled) merge_warnings(warnings, {"the request was cancelled"});
  if (finish.reason == FinishReason::kContextFull)
    merge_warnings(warnings, {"the context is full: the answer ends where it was"});
}

Json object_of(const OllamaHead& head) {
  return {{"model", head.model}, {"created_at", rfc3339(head.now())}};
}

struct Piece {
  std::string text;
  std::string thinking;
  Json tool_calls = {};  // null: none
};

void put_piece(Json& out, const OllamaHead& head, Piece piece) {
  if (!head.chat) {
    out["response"] = std::move(piece.text);
    if (!piece.thinking.empty()) out["thinking"] = std::move(piece.thinking);
    return;
  }
  Json message = {{"role", "assistant"}, {"content", std::move(piece.text)}};
  if (!piece.thinking.empty()) message["thinking"] = std::move(piece.thinking);
  if (!piece.tool_calls.is_null()) message["tool_calls"] = std::move(piece.tool_calls);
  out["message"] = std::move(message);
}

Json call_json(const CollectedToolCall& call, std::size_t index) {
  Result<Json> arguments = parse_json_text(call.arguments);
  // What was cut off is no object; clients expect one.
  const bool whole = arguments.ok() && arguments->is_object();
  return {
      {"id", call.id},
      {"function",
       {{"index", index}, {"name", call.name}, {"arguments", whole ? std::move(arguments).value() : Json::object()}}}};
}

void put_logprobs(Json& out, const std::vector<AnswerLogprob>& logprobs) {
  if (logprobs.empty()) return;
  Json entries = Json::array();
  for (const AnswerLogprob& entry : logprobs)
    entries.push_back(logprob_json(entry, !entry.top.empty()));
  out["logprobs"] = std::move(entries);
}

void put_nonzero(Json& out, const char* name, std::int64_t value) {
  if (value != 0) out[name] = value;
}

// What the last object has beside its piece.
void put_end(Json& out, const OllamaHead& head, const ChoiceFinished& finish, const AnswerDone& done,
             std::vector<TokenId> context, const std::vector<std::string>& warnings) {
  out["done"] = true;
  out["done_reason"] = done_reason(finish);
  if (head.with_context && !context.empty()) out["context"] = std::move(context);
  put_nonzero(out, "total_duration", nanoseconds_of(done.timings.total_ms));
  put_nonzero(out, "load_duration", nanoseconds_of(done.timings.load_ms));
  put_nonzero(out, "prompt_eval_count", done.prompt_tokens);
  put_nonzero(out, "prompt_eval_duration", nanoseconds_of(done.timings.prompt_ms));
  put_nonzero(out, "eval_count", done.generated_tokens);
  put_nonzero(out, "eval_duration", nanoseconds_of(done.timings.generation_ms));
  if (!warnings.empty()) out["warnings"] = warnings;
}

class OllamaStreamWriter : public AnswerWriter {
 public:
  explicit OllamaStreamWriter(OllamaHead head) : head_(std::move(head)) {}

  bool over() const override { return over_; }

  void take(AnswerEvent event, std::size_t /*source*/, http::Exchange& exchange) override {
    std::visit(
        [this, &exchange](auto& e) {
          using E = std::decay_t<decltype(e)>;
          if constexpr (std::is_same_v<E, AnswerStarted>) {
            merge_warnings(head_.warnings, e.warnings);
            context_ = std::move(e.prompt_ids);
          } else if constexpr (std::is_same_v<E, TextDelta>) {
            note(e.tokens);
            send_calls(exchange);
            send(exchange, {.text = std::move(e.text), .thinking = {}}, e.logprobs);
          } else if constexpr (std::is_same_v<E, ReasoningDelta>) {
            note(e.tokens);
            send(exchange, {.text = {}, .thinking = std::move(e.text)}, e.logprobs);
          } else if constexpr (std::is_same_v<E, ToolCallDelta>) {
            add_call(exchange, e);
          } else if constexpr (std::is_same_v<E, ChoiceFinished>) {
            send_calls(exchange);
            finish_ = e;
          } else if constexpr (std::is_same_v<E, AnswerDone>) {
            end(exchange, e);
          } else if constexpr (std::is_same_v<E, AnswerFailed>) {
            fail(exchange, e);
          }
        },
        event);
  }

 private:
  void note(const std::vector<TokenId>& tokens) {
    if (head_.with_context) context_.insert(context_.end(), tokens.begin(), tokens.end());
  }

  void line(http::Exchange& exchange, const Json& value) {
    if (!stream_.began()) add_warnings(stream_.fields(), head_.warnings);
    stream_.line(exchange, value);
  }

  void send(http::Exchange& exchange, Piece piece, const std::vector<AnswerLogprob>& logprobs = {}) {
    if (piece.text.empty() && piece.thinking.empty() && piece.tool_calls.is_null() && logprobs.empty()) return;
    Json out = object_of(head_);
    put_piece(out, head_, std::move(piece));
    out["done"] = false;
    put_logprobs(out, logprobs);
    line(exchange, out);
  }

  // Calls go out whole: when the next one begins, or something else follows.
  void add_call(http::Exchange& exchange, ToolCallDelta& delta) {
    if (delta.index != call_index_) send_calls(exchange);
    call_index_ = delta.index;
    if (!delta.id.empty()) call_.id = std::move(delta.id);
    if (!delta.name.empty()) call_.name = std::move(delta.name);
    call_.arguments += delta.arguments;
  }

  void send_calls(http::Exchange& exchange) {
    if (call_index_ < 0) return;
    Piece piece;
    piece.tool_calls = Json::array();
    piece.tool_calls.push_back(call_json(call_, static_cast<std::size_t>(call_index_)));
    send(exchange, std::move(piece));
    call_ = {};
    call_index_ = -1;
  }

  void end(http::Exchange& exchange, const AnswerDone& done) {
    over_ = true;
    merge_warnings(head_.warnings, done.warnings);
    warn_of_finish(finish_, head_.warnings);
    Json out = object_of(head_);
    put_piece(out, head_, {});
    put_end(out, head_, finish_, done, std::move(context_), head_.warnings);
    line(exchange, out);
    exchange.end();
  }

  void fail(http::Exchange& exchange, const AnswerFailed& failed) {
    over_ = true;
    const ApiError error = ollama_failure(failed, head_.model);
    if (!stream_.began()) {
      exchange.respond(ollama_error(error));
      return;
    }
    stream_.line(exchange, {{"error", error.message}});
    exchange.end();
  }

  OllamaHead head_;
  NdjsonStream stream_;
  bool over_ = false;
  std::vector<TokenId> context_;
  CollectedToolCall call_;
  int call_index_ = -1;  // of call_; -1: none
  ChoiceFinished finish_;
};

std::vector<std::string> warnings_of(const OllamaHead& head, const CollectedAnswer& answer) {
  std::vector<std::string> warnings = head.warnings;
  merge_warnings(warnings, answer.started.warnings);
  merge_warnings(warnings, answer.done.warnings);
  return warnings;
}

}  // namespace

std::string rfc3339(std::int64_t unix_seconds, std::int64_t nanoseconds) {
  const auto seconds = static_cast<std::time_t>(unix_seconds);
  std::tm parts = {};
  gmtime_r(&seconds, &parts);
  std::string out = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", parts.tm_year + 1900, parts.tm_mon + 1,
                                parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
  if (nanoseconds != 0) {
    out += fmt::format(".{:09}", nanoseconds);
    out.erase(out.find_last_not_of('0') + 1);
  }
  return out + "Z";
}

std::string rfc3339(std::chrono::system_clock::time_point time) {
  const std::int64_t total = std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
  std::int64_t seconds = total / kNanosecondsPerSecond;
  std::int64_t rest = total % kNanosecondsPerSecond;
  if (rest < 0) {
    rest += kNanosecondsPerSecond;
    --seconds;
  }
  return rfc3339(seconds, rest);
}

std::int64_t nanoseconds_of(double ms) {
  return static_cast<std::int64_t>(std::llround(ms * 1e6));
}

http::Response ollama_json_response(Json body, const std::vector<std::string>& warnings) {
  if (!warnings.empty()) body["warnings"] = warnings;
  http::Response response = http::json_response(200, json_text(body));
  add_warnings(response.fields, warnings);
  return response;
}

std::unique_ptr<AnswerWriter> ollama_stream_writer(OllamaHead head) {
  return std::make_unique<OllamaStreamWriter>(std::move(head));
}

http::Response ollama_response(const OllamaHead& head, const CollectedAnswer& answer) {
  static const CollectedChoice kNothing;
  const CollectedChoice& choice = answer.choices.empty() ? kNothing : answer.choices.front();
  std::vector<std::string> warnings = warnings_of(head, answer);
  warn_of_finish(choice.finish, warnings);
  Piece piece = {.text = choice.text, .thinking = choice.reasoning};
  if (!choice.tool_calls.empty()) {
    piece.tool_calls = Json::array();
    for (const CollectedToolCall& call : choice.tool_calls)
      piece.tool_calls.push_back(call_json(call, piece.tool_calls.size()));
  }
  Json out = object_of(head);
  put_piece(out, head, std::move(piece));
  std::vector<TokenId> context = answer.started.prompt_ids;
  context.insert(context.end(), choice.tokens.begin(), choice.tokens.end());
  put_end(out, head, choice.finish, answer.done, std::move(context), {});
  put_logprobs(out, choice.logprobs);
  return ollama_json_response(std::move(out), warnings);
}

http::Response ollama_empty_response(const OllamaHead& head, const char* reason) {
  Json out = object_of(head);
  put_piece(out, head, {});
  out["done"] = true;
  out["done_reason"] = reason;
  return ollama_json_response(std::move(out), head.warnings);
}

http::Response ollama_render_response(const OllamaHead& head, const CollectedAnswer& answer) {
  Json out = object_of(head);
  put_piece(out, head, {});
  out["done"] = true;
  out["done_reason"] = "stop";
  out["_debug_info"] = {{"rendered_template", answer.started.prompt_text}, {"image_count", 0}};
  return ollama_json_response(std::move(out), warnings_of(head, answer));
}

}  // namespace mlxr::server
