#include "daemon/server/anthropic/anthropic_errors.h"

#include <fmt/core.h>

#include "daemon/server/json.h"

namespace mlxr::server {
namespace {

const char* type_of(ApiErrorKind kind) {
  switch (kind) {
    case ApiErrorKind::kInvalidRequest:
    case ApiErrorKind::kUnsupported:
    case ApiErrorKind::kContextExceeded:
      return "invalid_request_error";
    case ApiErrorKind::kNoKey:
      return "authentication_error";
    case ApiErrorKind::kForbidden:
      return "permission_error";
    case ApiErrorKind::kNotFound:
    case ApiErrorKind::kModelNotFound:
      return "not_found_error";
    case ApiErrorKind::kTooLarge:
      return "request_too_large";
    case ApiErrorKind::kRateLimited:
      return "rate_limit_error";
    case ApiErrorKind::kOverloaded:
      return "overloaded_error";
    case ApiErrorKind::kCancelled:
    case ApiErrorKind::kInternal:
      break;
  }
  return "api_error";
}

}  // namespace

std::string anthropic_error_body(const ApiError& error, const std::string& request_id) {
  // The words by which Anthropic's clients know that they must compact.
  const std::string message =
      error.kind == ApiErrorKind::kContextExceeded
          ? fmt::format("prompt is too long: {} tokens > {} maximum", error.prompt_tokens, error.context)
          : error.message;
  Json body = {{"type", "error"}, {"error", {{"type", type_of(error.kind)}, {"message", message}}}};
  if (!request_id.empty()) body["request_id"] = request_id;
  return json_text(body);
}

http::Response anthropic_error(const ApiError& error, const std::string& request_id) {
  http::Response response = http::json_response(error.status, anthropic_error_body(error, request_id));
  if (!request_id.empty()) response.fields.add("request-id", request_id);
  if (error.retry_after.count() > 0) response.fields.add("Retry-After", std::to_string(error.retry_after.count()));
  return response;
}

http::Response anthropic_http_error(int status, const std::string& message) {
  return anthropic_error(http_error(status, message), {});
}

}  // namespace mlxr::server
