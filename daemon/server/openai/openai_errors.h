#pragma once
// Errors in OpenAI's shape: {"error": {message, type, param, code}}. One of a prompt that does not fit carries both
// OpenAI's code, by which clients begin to compact, and llama-server's numbers.

#include <string>

#include "daemon/http/message.h"
#include "daemon/server/server_errors.h"

namespace mlxr::server {

// Also what a stream says when it fails on the way.
std::string openai_error_body(const ApiError& error);
http::Response openai_error(const ApiError& error);
// An http::ErrorShape.
http::Response openai_http_error(int status, const std::string& message);

}  // namespace mlxr::server
