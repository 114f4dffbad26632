#include "daemon/server/openai/response_builder.h"

#include <utility>

#include "daemon/server/answer_json.h"

namespace mlxr::server {
namespace {

Json text_part(const std::string& text, Json logprobs) {
  return {{"type", "output_text"}, {"text", text}, {"annotations", Json::array()}, {"logprobs", std::move(logprobs)}};
}

Json message_item(const std::string& id, const char* status, Json content) {
  return {{"id", id}, {"type", "message"}, {"status", status}, {"role", "assistant"}, {"content", std::move(content)}};
}

Json call_item(const std::string& id, const char* status, const std::string& call_id, const std::string& name,
               const std::string& arguments) {
  return {{"id", id},     {"type", "function_call"}, {"status", status}, {"call_id", call_id},
          {"name", name}, {"arguments", arguments}};
}

Json reasoning_item(const std::string& id, const char* status, Json summary) {
  return {{"id", id}, {"type", "reasoning"}, {"status", status}, {"summary", std::move(summary)}};
}

Json usage_of(const AnswerDone& done) {
  return {{"input_tokens", done.prompt_tokens},
          {"input_tokens_details", {{"cached_tokens", done.cached_tokens}}},
          {"output_tokens", done.generated_tokens},
          {"output_tokens_details", {{"reasoning_tokens", done.reasoning_tokens}}},
          {"total_tokens", done.prompt_tokens + done.generated_tokens}};
}

const char* error_code(ApiErrorKind kind) {
  switch (kind) {
    case ApiErrorKind::kContextExceeded:
      return "context_length_exceeded";
    case ApiErrorKind::kRateLimited:
      return "rate_limit_exceeded";
    case ApiErrorKind::kInvalidRequest:
    case ApiErrorKind::kUnsupported:
      return "invalid_prompt";
    default:
      return "server_error";
  }
}

Json with(Json members, std::string_view key, Json value) {
  members[std::string(key)] = std::move(value);
  return members;
}

}  // namespace

void ResponseBuilder::send(std::string_view type, Json members) {
  Json data = {{"type", std::string(type)}, {"sequence_number", sequence_++}};
  for (auto& [key, value] : members.get_ref<Json::object_t&>())
    data[key] = std::move(value);
  emit_(type, json_text(data));
}

Json ResponseBuilder::object() const {
  Json out = {
      {"id", head_.id},      {"object", "response"}, {"created_at", head_.created},       {"status", status_},
      {"background", false}, {"error", error_},      {"incomplete_details", incomplete_}, {"model", head_.model},
      {"output", output_}};
  for (const auto& [key, value] : head_.shown.get_ref<const Json::object_t&>())
    out[key] = value;
  const bool over = status_ == "completed" || status_ == "incomplete" || status_ == "cancelled";
  out["usage"] = over ? usage_of(done_) : Json(nullptr);
  if (over) out["timings"] = timings_json(done_, finish_.speculation);
  if (!head_.warnings.empty()) out["warnings"] = head_.warnings;
  return out;
}

void ResponseBuilder::begin() {
  if (std::exchange(began_, true)) return;
  for (const char* type : {"response.created", "response.in_progress"}) {
    send(type, with(Json::object(), "response", object()));
  }
}

Json ResponseBuilder::place() const {
  return {{"item_id", item_id_}, {"output_index", output_.size()}};
}

bool ResponseBuilder::open(Item kind, int call, std::string_view id_prefix) {
  begin();
  if (item_ == kind && call_ == call) return false;
  close();
  item_ = kind;
  call_ = call;
  item_id_ = new_id_(id_prefix);
  item_text_.clear();
  logprobs_ = Json::array();
  return true;
}

void ResponseBuilder::text(const TextDelta& event) {
  if (event.text.empty() && event.logprobs.empty()) return;
  if (open(Item::kMessage, -1, "msg_")) {
    send("response.output_item.added",
         {{"output_index", output_.size()}, {"item", message_item(item_id_, "in_progress", Json::array())}});
    send("response.content_part.added", with(with(place(), "content_index", 0), "part", text_part({}, Json::array())));
  }
  Json logprobs = Json::array();
  for (const AnswerLogprob& entry : event.logprobs) {
    logprobs.push_back(logprob_json(entry));
    logprobs_.push_back(logprobs.back());
  }
  item_text_ += event.text;
  Json members = with(with(place(), "content_index", 0), "delta", event.text);
  send("response.output_text.delta", with(std::move(members), "logprobs", std::move(logprobs)));
}

void ResponseBuilder::reasoning(const ReasoningDelta& event) {
  if (event.text.empty()) return;
  if (open(Item::kReasoning, -1, "rs_")) {
    send("response.output_item.added",
         {{"output_index", output_.size()}, {"item", reasoning_item(item_id_, "in_progress", Json::array())}});
  }
  item_text_ += event.text;
  send("response.reasoning_summary_text.delta", with(with(place(), "summary_index", 0), "delta", event.text));
}

void ResponseBuilder::tool_call(const ToolCallDelta& event) {
  if (open(Item::kCall, event.index, "fc_")) {
    call_id_ = event.id;
    call_name_ = event.name;
    send("response.output_item.added",
         {{"output_index", output_.size()}, {"item", call_item(item_id_, "in_progress", call_id_, call_name_, {})}});
  }
  if (event.arguments.empty()) return;
  item_text_ += event.arguments;
  send("response.function_call_arguments.delta", with(place(), "delta", event.arguments));
}

void ResponseBuilder::close_reasoning() {
  send("response.reasoning_summary_text.done", with(with(place(), "summary_index", 0), "text", item_text_));
  const Json summary = Json::array({Json{{"type", "summary_text"}, {"text", item_text_}}});
  Json item = reasoning_item(item_id_, "completed", summary);
  send("response.output_item.done", {{"output_index", output_.size()}, {"item", item}});
  output_.push_back(std::move(item));
}

void ResponseBuilder::close_message() {
  Json members = with(with(place(), "content_index", 0), "text", item_text_);
  send("response.output_text.done", with(std::move(members), "logprobs", logprobs_));
  const Json part = text_part(item_text_, logprobs_);
  send("response.content_part.done", with(with(place(), "content_index", 0), "part", part));
  const char* status = status_ == "in_progress" || status_ == "completed" ? "completed" : "incomplete";
  Json item = message_item(item_id_, status, Json::array({part}));
  send("response.output_item.done", {{"output_index", output_.size()}, {"item", item}});
  output_.push_back(std::move(item));
}

void ResponseBuilder::close_call() {
  send("response.function_call_arguments.done", with(with(place(), "name", call_name_), "arguments", item_text_));
  const char* status = status_ == "in_progress" || status_ == "completed" ? "completed" : "incomplete";
  Json item = call_item(item_id_, status, call_id_, call_name_, item_text_);
  send("response.output_item.done", {{"output_index", output_.size()}, {"item", item}});
  output_.push_back(std::move(item));
}

void ResponseBuilder::close() {
  switch (std::exchange(item_, Item::kNone)) {
    case Item::kReasoning:
      close_reasoning();
      break;
    case Item::kMessage:
      close_message();
      break;
    case Item::kCall:
      close_call();
      break;
    case Item::kNone:
      break;
  }
}

void ResponseBuilder::warn(const std::vector<std::string>& warnings) {
  merge_warnings(head_.warnings, warnings);
}

void ResponseBuilder::done(const AnswerDone& event) {
  begin();
  done_ = event;
  warn(event.warnings);
  switch (finish_.reason) {
    case FinishReason::kMaxTokens:
    case FinishReason::kContextFull:
      status_ = "incomplete";
      incomplete_ = Json::object();
      incomplete_["reason"] = "max_output_tokens";
      if (finish_.reason == FinishReason::kContextFull) warn({"the answer ended because the context is full"});
      break;
    case FinishReason::kCancelled:
      status_ = "cancelled";
      break;
    case FinishReason::kEndOfText:
    case FinishReason::kStopString:
      status_ = "completed";
      break;
  }
  close();
}

void ResponseBuilder::failed(const ApiError& error) {
  begin();
  status_ = "failed";
  error_ = {{"code", error_code(error.kind)}, {"message", error.message}};
}

void ResponseBuilder::send_last() {
  const char* type = status_ == "completed" ? "response.completed"
                     : status_ == "failed"  ? "response.failed"
                                            : "response.incomplete";
  send(type, with(Json::object(), "response", object()));
}

}  // namespace mlxr::server
