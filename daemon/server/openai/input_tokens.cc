#include "daemon/server/openai/chat_request.h"
#include "daemon/server/openai/openai_errors.h"
#include "daemon/server/openai/openai_handlers.h"
#include "daemon/server/openai/responses_request.h"
#include "daemon/service/model_service.h"

namespace mlxr::server {
namespace {

void answer_count(const OpenAiServices& services, const SharedExchange& exchange, GenerateCall& call,
                  const RequestNotes& notes) {
  if (refuse(exchange, notes) || !identify_or_refuse(services, exchange, call.options)) return;
  const Result<std::int64_t> count = services.common.models->count_tokens(call);
  if (!count.ok()) {
    exchange->respond(openai_error(to_api_error(count.status())));
    return;
  }
  exchange->respond(
      http::json_response(200, json_text({{"object", "response.input_tokens"}, {"input_tokens", *count}})));
}

}  // namespace

void count_chat_tokens(const OpenAiServices& services, const SharedExchange& exchange) {
  const std::optional<Json> body = read_body(exchange);
  if (!body.has_value()) return;
  RequestNotes notes;
  ChatRequest request = read_chat_request(*body, notes);
  answer_count(services, exchange, request.call, notes);
}

void count_response_tokens(const OpenAiServices& services, const SharedExchange& exchange) {
  const std::optional<Json> body = read_body(exchange);
  if (!body.has_value()) return;
  RequestNotes notes;
  ResponsesRequest request = read_responses_request(*body, notes);
  if (refuse(exchange, notes)) return;
  const std::optional<std::vector<StoredResponse>> before = turns_before(services, exchange, request.previous_id);
  if (!before.has_value()) return;
  read_conversation(request, *before, notes);
  answer_count(services, exchange, request.call, notes);
}

}  // namespace mlxr::server
