#pragma once
// The routes of llama-server's dialect that are not OpenAI's. Errors are {"error": {code, message, type}}.
//
//   GET  /health  /v1/health            {"status": "ok"}, without a key
//   POST /completion  /completions      text or tokens to a text; with `stream`, an event a piece
//   POST /infill                        what stands between input_prefix and input_suffix
//   POST /embedding  /embeddings        vectors of texts
//   POST /tokenize  /detokenize  /apply-template
//   GET  /props                         the model and what requests begin with
//   GET  /slots                         open requests, and as many free places as the engine has beside them
//   POST /props  POST /slots/{id}  /lora-adapters   501 with the reason
//
// Which model: `model` of the request; without it the one that is loaded, or the only one there is.

#include <cstdint>
#include <functional>
#include <string>

#include "daemon/http/router.h"
#include "daemon/server/dialect_services.h"

namespace mlxr::server {

struct LlamaServerServices {
  DialectServices common = {};
  std::string version = {};  // of this program
  std::int64_t max_sequences = 1;
  // Whether who asks may see a request of this caller. Empty: all.
  std::function<bool(const http::Request& request, const std::string& caller_key)> may_see = {};
};

void register_llama_server_routes(http::Router& router, const LlamaServerServices& services);

}  // namespace mlxr::server
