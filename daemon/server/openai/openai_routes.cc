#include "daemon/server/openai/openai_routes.h"

#include <utility>

#include "daemon/server/openai/chat_request.h"
#include "daemon/server/openai/openai_errors.h"
#include "daemon/server/openai/openai_handlers.h"
#include "daemon/service/model_service.h"

namespace mlxr::server {
namespace {

using HandlerFunction = void (*)(const OpenAiServices& services, const SharedExchange& exchange);

struct OpenAiRoute {
  http::Method method;
  const char* pattern;
  const char* scope;
  bool blocking;
  HandlerFunction handler;
};

constexpr const char* kInference = "inference";
constexpr const char* kModelsRead = "models:read";

constexpr OpenAiRoute kRoutes[] = {
    {http::Method::kGet, "/v1/models", kModelsRead, true, answer_models},
    {http::Method::kGet, "/v1/models/{id*}", kModelsRead, true, answer_model},
    {http::Method::kPost, "/v1/chat/completions", kInference, false, answer_chat},
    {http::Method::kPost, "/v1/chat/completions/input_tokens", kInference, true, count_chat_tokens},
    {http::Method::kPost, "/v1/completions", kInference, false, answer_completions},
    {http::Method::kPost, "/v1/embeddings", kInference, false, answer_embeddings},
    {http::Method::kPost, "/v1/rerank", kInference, false, answer_rerank},
    {http::Method::kPost, "/v1/reranking", kInference, false, answer_rerank},
    {http::Method::kPost, "/rerank", kInference, false, answer_rerank},
    {http::Method::kPost, "/reranking", kInference, false, answer_rerank},
    // They read and write the archive.
    {http::Method::kPost, "/v1/responses", kInference, true, answer_responses},
    {http::Method::kPost, "/v1/responses/input_tokens", kInference, true, count_response_tokens},
    {http::Method::kGet, "/v1/responses/{id}", kInference, true, answer_stored_response},
    {http::Method::kDelete, "/v1/responses/{id}", kInference, true, delete_stored_response},
    {http::Method::kPost, "/v1/responses/{id}/cancel", kInference, true, cancel_response},
    {http::Method::kGet, "/v1/responses/{id}/input_items", kInference, true, answer_input_items},
};

}  // namespace

void register_openai_routes(http::Router& router, const OpenAiServices& services) {
  const auto shared = std::make_shared<const OpenAiServices>(services);
  for (const OpenAiRoute& route : kRoutes) {
    http::RouteOptions options;
    options.blocking = route.blocking;
    options.scope = route.scope;
    options.errors = openai_http_error;
    http::Handler handler = [shared, function = route.handler](const SharedExchange& exchange) {
      function(*shared, exchange);
    };
    router.add({.method = route.method, .pattern = route.pattern, .handler = std::move(handler), .options = options});
  }
  router.set_errors("/v1/", openai_http_error);
}

std::optional<Json> read_body(const SharedExchange& exchange) {
  Result<Json> body = parse_json_text(exchange->request().body);
  if (body.ok()) return std::move(body).value();
  exchange->respond(openai_error(to_api_error(body.status())));
  return std::nullopt;
}

bool refuse(const SharedExchange& exchange, const RequestNotes& notes) {
  if (notes.ok()) return false;
  http::Response response = openai_error(*notes.error);
  exchange->respond(std::move(response));
  return true;
}

bool identify_or_refuse(const OpenAiServices& services, const SharedExchange& exchange, CallOptions& options) {
  const std::optional<ApiError> error = identify_call(services.common, exchange->request(), "openai", options);
  if (!error.has_value()) return true;
  exchange->respond(openai_error(*error));
  return false;
}

OpenAiHead make_head(const OpenAiServices& services, std::string_view id_prefix, const std::string& model,
                     const OpenAiAnswerOptions& options, const RequestNotes& notes) {
  OpenAiHead head;
  head.id = services.common.stamp.new_id(id_prefix);
  head.created = services.common.stamp.now();
  head.model = model;
  head.options = options;
  head.warnings = notes.warnings;
  // The model has just been used, so that its tokenizer is at hand and this does not wait.
  head.pieces = [models = services.common.models, model](const std::vector<TokenId>& tokens) {
    Result<std::vector<std::string>> pieces = models->pieces(model, tokens);
    return pieces.ok() ? std::move(pieces).value() : std::vector<std::string>(tokens.size());
  };
  return head;
}

PumpOptions pump_options(const OpenAiServices& services, const OpenAiAnswerOptions& options) {
  PumpOptions out;
  if (options.stream) out.idle_period = options.ping_period.value_or(services.common.ping_period);
  return out;
}

void answer_chat(const OpenAiServices& services, const SharedExchange& exchange) {
  std::optional<Json> body = read_body(exchange);
  if (!body.has_value()) return;
  RequestNotes notes;
  ChatRequest request = read_chat_request(*body, notes);
  body.reset();
  if (refuse(exchange, notes) || !identify_or_refuse(services, exchange, request.call.options)) return;
  OpenAiHead head = make_head(services, "chatcmpl-", request.call.options.model, request.answer, notes);
  const int num_choices = request.call.n;
  std::shared_ptr<AnswerStream> stream = services.common.models->generate(std::move(request.call));
  std::unique_ptr<AnswerWriter> writer;
  if (request.answer.stream) {
    writer = chat_stream_writer(std::move(head), num_choices);
  } else {
    writer = std::make_unique<WholeAnswerWriter>(
        1, [head = std::move(head)](std::vector<CollectedAnswer>& answers) { return chat_response(head, answers[0]); },
        [](const AnswerFailed& failed) { return openai_error(to_api_error(failed)); });
  }
  pump_answer(exchange, std::move(stream), std::move(writer), pump_options(services, request.answer));
}

}  // namespace mlxr::server
