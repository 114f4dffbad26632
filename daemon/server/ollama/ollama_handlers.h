#pragma once
// The handlers behind ollama_routes.h.

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "daemon/http/exchange.h"
#include "daemon/server/json_fields.h"
#include "daemon/server/ollama/model_store.h"
#include "daemon/server/ollama/ollama_answer.h"
#include "daemon/server/ollama/ollama_errors.h"
#include "daemon/server/ollama/ollama_request.h"
#include "daemon/server/ollama/ollama_routes.h"
#include "daemon/service/model_service.h"

namespace mlxr::server::ollama {

using SharedExchange = std::shared_ptr<http::Exchange>;

void answer_generate(const OllamaServices& services, const SharedExchange& exchange);
void answer_chat(const OllamaServices& services, const SharedExchange& exchange);
void answer_embed(const OllamaServices& services, const SharedExchange& exchange);
void answer_embeddings(const OllamaServices& services, const SharedExchange& exchange);
void answer_tags(const OllamaServices& services, const SharedExchange& exchange);
void answer_running(const OllamaServices& services, const SharedExchange& exchange);
void answer_show(const OllamaServices& services, const SharedExchange& exchange);
void answer_copy(const OllamaServices& services, const SharedExchange& exchange);
void answer_delete(const OllamaServices& services, const SharedExchange& exchange);
void answer_create(const OllamaServices& services, const SharedExchange& exchange);
void answer_blob_test(const OllamaServices& services, const SharedExchange& exchange);
void answer_blob_upload(const OllamaServices& services, const SharedExchange& exchange);
void answer_pull(const OllamaServices& services, const SharedExchange& exchange);
void answer_push(const OllamaServices& services, const SharedExchange& exchange);

// The body as JSON; answers with the error and gives nothing when it is none.
std::optional<Json> read_body(const SharedExchange& exchange);
// Answers with what the notes hold against the request; false when they hold nothing.
bool refuse(const SharedExchange& exchange, const RequestNotes& notes);
// identify_call(); answers and returns true when it refuses.
bool refuse_caller(const OllamaServices& services, const SharedExchange& exchange, CallOptions& options);

// "details" of a model.
Json details_json(const ModelDetails& details);
// Without "sha256:", as lists show it.
std::string bare_digest(const std::string& digest);

}  // namespace mlxr::server::ollama
