#pragma once
// Errors in llama-server's shape: {"error": {code, message, type}}, with n_prompt_tokens and n_ctx where a context was
// too small.

#include <string>

#include "daemon/http/message.h"
#include "daemon/server/server_errors.h"

namespace mlxr::server {

std::string llama_server_error_body(const ApiError& error);
http::Response llama_server_error(const ApiError& error);
// An http::ErrorShape.
http::Response llama_server_http_error(int status, const std::string& message);

}  // namespace mlxr::server
