#pragma once
// The handlers behind llama_server_routes.h, and what they share.

#include <memory>
#include <optional>
#include <string>

#include "daemon/http/exchange.h"
#include "daemon/server/json_fields.h"
#include "daemon/server/llama_server/llama_server_routes.h"

namespace mlxr::server {

using SharedExchange = std::shared_ptr<http::Exchange>;

void answer_completion(const LlamaServerServices& services, const SharedExchange& exchange);
void answer_infill(const LlamaServerServices& services, const SharedExchange& exchange);
void answer_embedding(const LlamaServerServices& services, const SharedExchange& exchange);
void answer_tokenize(const LlamaServerServices& services, const SharedExchange& exchange);
void answer_detokenize(const LlamaServerServices& services, const SharedExchange& exchange);
void answer_template(const LlamaServerServices& services, const SharedExchange& exchange);
void answer_health(const LlamaServerServices& services, const SharedExchange& exchange);
void answer_props(const LlamaServerServices& services, const SharedExchange& exchange);
void answer_slots(const LlamaServerServices& services, const SharedExchange& exchange);
void refuse_props(const LlamaServerServices& services, const SharedExchange& exchange);
void refuse_adapters(const LlamaServerServices& services, const SharedExchange& exchange);
void refuse_slot_action(const LlamaServerServices& services, const SharedExchange& exchange);

// The body as JSON; answers with the error and gives nothing when it is none.
std::optional<Json> llama_server_body(const SharedExchange& exchange);

// Puts the model's name and who asks into `options`. A note of an error when no model can be told, or the key may not
// use it.
void choose_model(const LlamaServerServices& services, const SharedExchange& exchange, JsonFields& fields,
                  CallOptions& options);
// The model of a request that names none; empty when there is none or more than one.
std::string only_model(const LlamaServerServices& services);

// A whole answer, with its warnings in the body (when that is an object) and in the header.
http::Response llama_server_answer(Json body, const std::vector<std::string>& warnings);

}  // namespace mlxr::server
