#include <utility>

#include "daemon/server/answer_json.h"
#include "daemon/server/openai/chat_answer.h"
#include "daemon/server/openai/openai_errors.h"

namespace mlxr::server {

OpenAiStreamWriter::OpenAiStreamWriter(OpenAiHead head, std::string_view object) : head_(std::move(head)) {
  const Json common = {{"id", head_.id},
                       {"object", std::string(object)},
                       {"created", head_.created},
                       {"model", head_.model},
                       {"system_fingerprint", kSystemFingerprint}};
  prefix_ = json_text(common);
  prefix_.pop_back();
  prefix_ += ",\"choices\":";
}

void OpenAiStreamWriter::chunk(http::Exchange& exchange, std::string_view choices, std::string_view more) {
  if (!sse_.began()) add_warnings(sse_.fields(), head_.warnings);
  std::string text = prefix_;
  text.append(choices).append(more).append("}");
  sse_.data(exchange, text);
}

void OpenAiStreamWriter::idle(http::Exchange& exchange) {
  if (sse_.take_activity()) return;
  if (!sse_.began()) add_warnings(sse_.fields(), head_.warnings);
  sse_.comment(exchange, "ping");
}

void OpenAiStreamWriter::progress(http::Exchange& exchange, const LoadProgress& event) {
  chunk(exchange, "[]", ",\"load_progress\":" + json_text({{"fraction", event.fraction}}));
}

void OpenAiStreamWriter::progress(http::Exchange& exchange, const PrefillProgress& event) {
  chunk(
      exchange, "[]",
      ",\"prompt_progress\":" +
          json_text({{"total", event.total_tokens}, {"cache", event.cached_tokens}, {"processed", event.done_tokens}}));
}

void OpenAiStreamWriter::started(const AnswerStarted& event) {
  prompt_tokens_ = event.prompt_tokens;
  merge_warnings(head_.warnings, event.warnings);
}

void OpenAiStreamWriter::fail(http::Exchange& exchange, const AnswerFailed& failed) {
  over_ = true;
  const ApiError error = to_api_error(failed);
  if (!sse_.began()) {
    exchange.respond(openai_error(error));
    return;
  }
  sse_.data(exchange, openai_error_body(error));
  exchange.end();
}

void OpenAiStreamWriter::finish(http::Exchange& exchange, const Json& usage, const Json& timings) {
  over_ = true;
  if (head_.options.include_usage) {
    chunk(exchange, "[]", ",\"usage\":" + json_text(usage) + ",\"timings\":" + json_text(timings));
  }
  sse_.data(exchange, "[DONE]");
  exchange.end();
}

std::string OpenAiStreamWriter::usage_member() const {
  if (head_.options.continuous_usage) {
    return ",\"usage\":" + json_text(usage_json(prompt_tokens_, generated_tokens_, 0, 0));
  }
  return head_.options.include_usage ? ",\"usage\":null" : "";
}

std::string OpenAiStreamWriter::last_members(const Json& timings) const {
  std::string out = usage_member() + ",\"timings\":" + json_text(timings);
  if (!head_.warnings.empty()) out += ",\"warnings\":" + json_text(head_.warnings);
  return out;
}

}  // namespace mlxr::server
