#include "daemon/server/ollama/ollama_errors.h"

#include <fmt/core.h>

#include "daemon/server/json.h"

namespace mlxr::server {
namespace {

// What a model cannot do: how the service begins to say it, and Ollama's words.
struct Inability {
  std::string_view begins;
  std::string_view contains;
  const char* words;
};
constexpr Inability kInabilities[] = {
    {"think: ", "does not support thinking", "\"{}\" does not support thinking"},
    {"tools: ", "chat template", "{} does not support tools"},
    {"suffix: ", "", "\"{}\" does not support insert"},
    {"", "has no chat template", "\"{}\" does not support chat"},
};

}  // namespace

std::string ollama_error_body(const ApiError& error) {
  return json_text({{"error", error.message}});
}

http::Response ollama_error(const ApiError& error) {
  http::Response response = http::json_response(error.status, ollama_error_body(error));
  if (error.retry_after.count() > 0) response.fields.set("Retry-After", std::to_string(error.retry_after.count()));
  return response;
}

http::Response ollama_http_error(int status, const std::string& message) {
  return ollama_error(http_error(status, message));
}

ApiError ollama_failure(const AnswerFailed& failed, const std::string& model) {
  ApiError error = to_api_error(failed);
  if (failed.kind == AnswerFailed::Kind::kModelNotFound) error.message = fmt::format("model '{}' not found", model);
  if (failed.kind == AnswerFailed::Kind::kQueueFull)
    error.message = "server busy, please try again.  maximum pending requests exceeded";
  if (error.kind != ApiErrorKind::kUnsupported) return error;
  const std::string said = error.message;
  for (const Inability& row : kInabilities) {
    if (!said.starts_with(row.begins) || said.find(row.contains) == std::string::npos) continue;
    error.message = fmt::format(fmt::runtime(row.words), model);
    break;
  }
  return error;
}

ApiError ollama_embed_failure(const AnswerFailed& failed, const std::string& model) {
  ApiError error = ollama_failure(failed, model);
  if (failed.kind == AnswerFailed::Kind::kModelNotFound)
    error.message = fmt::format("model \"{}\" not found, try pulling it first", model);
  if (failed.kind == AnswerFailed::Kind::kContextExceeded)
    error.message = fmt::format("the input length exceeds the context length ({} tokens, {} fit)", failed.prompt_tokens,
                                failed.context);
  return error;
}

}  // namespace mlxr::server
