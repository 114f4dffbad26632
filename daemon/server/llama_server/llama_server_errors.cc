#include "daemon/server/llama_server/llama_server_errors.h"

#include "daemon/server/json.h"

namespace mlxr::server {
namespace {

constexpr int kNotImplemented = 501;

const char* type_name(const ApiError& error) {
  if (error.status == kNotImplemented) return "not_supported_error";
  switch (error.kind) {
    case ApiErrorKind::kInvalidRequest:
    case ApiErrorKind::kUnsupported:
    case ApiErrorKind::kTooLarge:
    case ApiErrorKind::kRateLimited:
    case ApiErrorKind::kCancelled:
      return "invalid_request_error";
    case ApiErrorKind::kContextExceeded:
      return "exceed_context_size_error";
    case ApiErrorKind::kNoKey:
      return "authentication_error";
    case ApiErrorKind::kForbidden:
      return "permission_error";
    case ApiErrorKind::kNotFound:
    case ApiErrorKind::kModelNotFound:
      return "not_found_error";
    case ApiErrorKind::kOverloaded:
      return "unavailable_error";
    case ApiErrorKind::kInternal:
      break;
  }
  return "server_error";
}

}  // namespace

std::string llama_server_error_body(const ApiError& error) {
  Json body = {{"code", error.status}, {"message", error.message}, {"type", type_name(error)}};
  if (error.kind == ApiErrorKind::kContextExceeded) {
    body["n_prompt_tokens"] = error.prompt_tokens;
    body["n_ctx"] = error.context;
  }
  return json_text({{"error", std::move(body)}});
}

http::Response llama_server_error(const ApiError& error) {
  http::Response response = http::json_response(error.status, llama_server_error_body(error));
  if (error.retry_after.count() > 0) response.fields.set("Retry-After", std::to_string(error.retry_after.count()));
  return response;
}

http::Response llama_server_http_error(int status, const std::string& message) {
  return llama_server_error(http_error(status, message));
}

}  // namespace mlxr::server
