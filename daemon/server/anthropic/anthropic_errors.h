#pragma once
// Errors in Anthropic's shape: {"type": "error", "error": {type, message}, "request_id"}.

#include <string>

#include "daemon/http/message.h"
#include "daemon/server/server_errors.h"

namespace mlxr::server {

// `request_id` may be empty: it is left out then.
std::string anthropic_error_body(const ApiError& error, const std::string& request_id);
http::Response anthropic_error(const ApiError& error, const std::string& request_id);
// An http::ErrorShape.
http::Response anthropic_http_error(int status, const std::string& message);

}  // namespace mlxr::server
