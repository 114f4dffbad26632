#pragma once
// Errors in Ollama's shape, {"error": text}, and in its words where clients look for those.

#include <string>

#include "daemon/http/message.h"
#include "daemon/server/server_errors.h"

namespace mlxr::server {

std::string ollama_error_body(const ApiError& error);
http::Response ollama_error(const ApiError& error);
// An http::ErrorShape.
http::Response ollama_http_error(int status, const std::string& message);

// What went wrong with a call to `model`.
ApiError ollama_failure(const AnswerFailed& failed, const std::string& model);
// The same of /api/embed and /api/embeddings, which have other words.
ApiError ollama_embed_failure(const AnswerFailed& failed, const std::string& model);

}  // namespace mlxr::server
