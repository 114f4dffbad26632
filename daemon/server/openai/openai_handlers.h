#pragma once
// The handlers behind openai_routes.h, one a file.

#include <functional>
#include <memory>

#include "daemon/http/exchange.h"
#include "daemon/registry/response_store.h"
#include "daemon/server/json_fields.h"
#include "daemon/server/openai/chat_answer.h"
#include "daemon/server/openai/openai_routes.h"

namespace mlxr::server {

using SharedExchange = std::shared_ptr<http::Exchange>;

void answer_models(const OpenAiServices& services, const SharedExchange& exchange);
void answer_model(const OpenAiServices& services, const SharedExchange& exchange);
void answer_chat(const OpenAiServices& services, const SharedExchange& exchange);
void answer_completions(const OpenAiServices& services, const SharedExchange& exchange);
void answer_embeddings(const OpenAiServices& services, const SharedExchange& exchange);
void answer_rerank(const OpenAiServices& services, const SharedExchange& exchange);
void answer_responses(const OpenAiServices& services, const SharedExchange& exchange);
void answer_stored_response(const OpenAiServices& services, const SharedExchange& exchange);
void delete_stored_response(const OpenAiServices& services, const SharedExchange& exchange);
void cancel_response(const OpenAiServices& services, const SharedExchange& exchange);
void count_chat_tokens(const OpenAiServices& services, const SharedExchange& exchange);
void count_response_tokens(const OpenAiServices& services, const SharedExchange& exchange);
void answer_input_items(const OpenAiServices& services, const SharedExchange& exchange);

// The stored turns up to `previous_id`, oldest first; answers and gives nothing when they are not to be had.
std::optional<std::vector<StoredResponse>> turns_before(const OpenAiServices& services, const SharedExchange& exchange,
                                                        const std::string& previous_id);

// The body as JSON; answers with the error and gives nothing when it is none.
std::optional<Json> read_body(const SharedExchange& exchange);
// Answers with what the notes hold against the request; false when they hold nothing.
bool refuse(const SharedExchange& exchange, const RequestNotes& notes);
// identify_call(); answers and returns false when it refuses.
bool identify_or_refuse(const OpenAiServices& services, const SharedExchange& exchange, CallOptions& options);

OpenAiHead make_head(const OpenAiServices& services, std::string_view id_prefix, const std::string& model,
                     const OpenAiAnswerOptions& options, const RequestNotes& notes);
PumpOptions pump_options(const OpenAiServices& services, const OpenAiAnswerOptions& options);

}  // namespace mlxr::server
