#pragma once
// The routes of OpenAI's dialect:
//
//   GET  /v1/models, /v1/models/{id*}
//   POST /v1/chat/completions, /v1/completions, /v1/embeddings
//   POST /v1/rerank, /rerank, /v1/reranking, /reranking              as Jina and llama-server
//   POST /v1/responses; GET, DELETE /v1/responses/{id}; POST /v1/responses/{id}/cancel;
//   GET  /v1/responses/{id}/input_items
//   POST /v1/chat/completions/input_tokens, /v1/responses/input_tokens    what the prompt would take
//
// Errors under /v1/ are in OpenAI's shape.

#include <functional>
#include <string>

#include "daemon/http/router.h"
#include "daemon/server/dialect_services.h"

namespace mlxr::server {

class ResponseArchive;

struct OpenAiServices {
  DialectServices common = {};
  ResponseArchive* archive = nullptr;  // nullptr: /v1/responses keeps nothing, and says so when asked to
  // The id of the key that asks, to which responses belong; empty, or "": none.
  std::function<std::string(const http::Request& request)> key_id = {};
};

void register_openai_routes(http::Router& router, const OpenAiServices& services);

}  // namespace mlxr::server
