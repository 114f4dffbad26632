#include "daemon/server/anthropic/anthropic_routes.h"

#include <memory>
#include <optional>
#include <utility>

#include <fmt/core.h>

#include "daemon/server/anthropic/anthropic_errors.h"
#include "daemon/server/anthropic/messages_answer.h"
#include "daemon/server/anthropic/messages_request.h"
#include "daemon/server/json_fields.h"
#include "daemon/service/model_service.h"

namespace mlxr::server {
namespace {

using SharedExchange = std::shared_ptr<http::Exchange>;

constexpr std::string_view kVersion = "2023-06-01";
// Its streams had other events.
constexpr std::string_view kOldVersion = "2023-01-01";

void check_version(const http::Request& request, RequestNotes& notes) {
  const std::optional<std::string_view> version = request.fields.find("anthropic-version");
  if (!version.has_value() || *version == kVersion) return;
  if (*version == kOldVersion) {
    notes.fail(ApiErrorKind::kUnsupported, {}, fmt::format("anthropic-version {} is not supported", kOldVersion));
    return;
  }
  notes.warn(fmt::format("anthropic-version is not known; the answer is as of {}", kVersion));
}

// The request, or nothing when it was answered with an error.
std::optional<MessagesRequest> read_request(const DialectServices& services, const SharedExchange& exchange,
                                            const MessagesRules& rules, RequestNotes& notes) {
  const http::Request& request = exchange->request();
  const Result<Json> body = parse_json_text(request.body);
  if (!body.ok()) {
    exchange->respond(anthropic_error(to_api_error(body.status()), request.id));
    return std::nullopt;
  }
  check_version(request, notes);
  MessagesRequest messages = read_messages_request(*body, rules, notes);
  std::optional<ApiError> error = notes.error;
  if (!error.has_value()) error = identify_call(services, request, "anthropic", messages.call.options);
  if (!error.has_value()) return messages;
  exchange->respond(anthropic_error(*error, request.id));
  return std::nullopt;
}

void answer_messages(const DialectServices& services, const SharedExchange& exchange) {
  RequestNotes notes;
  std::optional<MessagesRequest> request = read_request(services, exchange, {}, notes);
  if (!request.has_value()) return;
  MessageHead head;
  head.id = services.stamp.new_id("msg_");
  head.request_id = exchange->request().id;
  head.model = request->call.options.model;
  head.warnings = std::move(notes.warnings);
  std::shared_ptr<AnswerStream> stream = services.models->generate(std::move(request->call));
  PumpOptions options;
  std::unique_ptr<AnswerWriter> writer;
  if (request->stream) {
    options.idle_period = services.ping_period;
    writer = message_stream_writer(std::move(head));
  } else {
    const std::string request_id = head.request_id;
    writer = std::make_unique<WholeAnswerWriter>(
        1,
        [head = std::move(head)](std::vector<CollectedAnswer>& answers) { return message_response(head, answers[0]); },
        [request_id](const AnswerFailed& failed) { return anthropic_error(to_api_error(failed), request_id); });
  }
  pump_answer(exchange, std::move(stream), std::move(writer), options);
}

void count_tokens(const DialectServices& services, const SharedExchange& exchange) {
  RequestNotes notes;
  const MessagesRules rules = {.counts_only = true};
  const std::optional<MessagesRequest> request = read_request(services, exchange, rules, notes);
  if (!request.has_value()) return;
  const Result<std::int64_t> count = services.models->count_tokens(request->call);
  if (!count.ok()) {
    ApiError error = to_api_error(count.status());
    exchange->respond(anthropic_error(error, exchange->request().id));
    return;
  }
  exchange->respond(http::json_response(200, json_text({{"input_tokens", *count}})));
}

}  // namespace

void register_anthropic_routes(http::Router& router, const DialectServices& services) {
  const auto shared = std::make_shared<const DialectServices>(services);
  http::RouteOptions options;
  options.scope = "inference";
  options.errors = anthropic_http_error;
  router.add({.method = http::Method::kPost,
              .pattern = "/v1/messages",
              .handler = [shared](const SharedExchange& exchange) { answer_messages(*shared, exchange); },
              .options = options});
  options.blocking = true;
  router.add({.method = http::Method::kPost,
              .pattern = "/v1/messages/count_tokens",
              .handler = [shared](const SharedExchange& exchange) { count_tokens(*shared, exchange); },
              .options = options});
  router.set_errors("/v1/messages", anthropic_http_error);
}

}  // namespace mlxr::server
