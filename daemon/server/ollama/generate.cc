// /api/generate and /api/chat.

#include <utility>

#include "daemon/server/ollama/ollama_handlers.h"

namespace mlxr::server::ollama {
namespace {

// Loaded or not: only a model that there is not is an error.
void unload(const OllamaServices& services, const SharedExchange& exchange, const OllamaHead& head) {
  const Status status = services.common.models->unload(head.model);
  if (status.code() == StatusCode::kNotFound) {
    const Result<ModelRecord> record = services.store->resolve(head.model);
    if (!record.ok()) {
      AnswerFailed failed;
      failed.status = record.status();
      if (record.status().code() == StatusCode::kNotFound) failed.kind = AnswerFailed::Kind::kModelNotFound;
      exchange->respond(ollama_error(ollama_failure(failed, head.model)));
      return;
    }
  } else if (!status.ok()) {
    exchange->respond(ollama_error(to_api_error(status)));
    return;
  }
  exchange->respond(ollama_empty_response(head, "unload"));
}

std::unique_ptr<AnswerWriter> whole_writer(OllamaHead head,
                                           http::Response (*finish)(const OllamaHead&, const CollectedAnswer&)) {
  std::string model = head.model;
  return std::make_unique<WholeAnswerWriter>(
      1, [head = std::move(head), finish](std::vector<CollectedAnswer>& answers) { return finish(head, answers[0]); },
      [model = std::move(model)](const AnswerFailed& failed) { return ollama_error(ollama_failure(failed, model)); });
}

http::Response loaded_response(const OllamaHead& head, const CollectedAnswer& answer) {
  OllamaHead all = head;
  all.warnings.insert(all.warnings.end(), answer.done.warnings.begin(), answer.done.warnings.end());
  return ollama_empty_response(all, "load");
}

void answer(const OllamaServices& services, const SharedExchange& exchange, OllamaRequest request, RequestNotes notes) {
  if (refuse(exchange, notes) || refuse_caller(services, exchange, request.call.options)) return;
  OllamaHead head;
  head.model = request.call.options.model;
  head.chat = request.chat;
  head.with_context = request.with_context;
  head.warnings = std::move(notes.warnings);
  head.now = services.now;
  ModelService& models = *services.common.models;
  switch (request.kind) {
    case OllamaRequest::Kind::kUnload:
      unload(services, exchange, head);
      return;
    case OllamaRequest::Kind::kLoad:
      pump_answer(exchange, models.load(std::move(request.call.options)),
                  whole_writer(std::move(head), loaded_response));
      return;
    case OllamaRequest::Kind::kRender:
      pump_answer(exchange, models.generate(std::move(request.call)),
                  whole_writer(std::move(head), ollama_render_response));
      return;
    case OllamaRequest::Kind::kGenerate:
      break;
  }
  std::unique_ptr<AnswerWriter> writer =
      request.stream ? ollama_stream_writer(std::move(head)) : whole_writer(std::move(head), ollama_response);
  pump_answer(exchange, models.generate(std::move(request.call)), std::move(writer));
}

}  // namespace

void answer_generate(const OllamaServices& services, const SharedExchange& exchange) {
  const std::optional<Json> body = read_body(exchange);
  if (!body.has_value()) return;
  RequestNotes notes;
  OllamaRequest request = read_ollama_generate(*body, notes);
  answer(services, exchange, std::move(request), std::move(notes));
}

void answer_chat(const OllamaServices& services, const SharedExchange& exchange) {
  const std::optional<Json> body = read_body(exchange);
  if (!body.has_value()) return;
  RequestNotes notes;
  OllamaRequest request = read_ollama_chat(*body, notes);
  answer(services, exchange, std::move(request), std::move(notes));
}

}  // namespace mlxr::server::ollama
