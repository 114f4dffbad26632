#include "daemon/server/openai/openai_errors.h"

#include "daemon/server/json.h"

namespace mlxr::server {
namespace {

struct Names {
  const char* type;
  const char* code;  // nullptr: null
};

Names names_of(ApiErrorKind kind) {
  switch (kind) {
    case ApiErrorKind::kInvalidRequest:
      return {"invalid_request_error", nullptr};
    case ApiErrorKind::kUnsupported:
      return {"invalid_request_error", "unsupported_parameter"};
    case ApiErrorKind::kContextExceeded:
      return {"invalid_request_error", "context_length_exceeded"};
    case ApiErrorKind::kNoKey:
      return {"authentication_error", "invalid_api_key"};
    case ApiErrorKind::kForbidden:
      return {"permission_error", nullptr};
    case ApiErrorKind::kNotFound:
      return {"not_found_error", nullptr};
    case ApiErrorKind::kModelNotFound:
      return {"invalid_request_error", "model_not_found"};
    case ApiErrorKind::kTooLarge:
      return {"invalid_request_error", "request_too_large"};
    case ApiErrorKind::kRateLimited:
      return {"rate_limit_error", "rate_limit_exceeded"};
    case ApiErrorKind::kCancelled:
      return {"server_error", "request_cancelled"};
    case ApiErrorKind::kInternal:
      return {"server_error", nullptr};
    case ApiErrorKind::kOverloaded:
      return {"overloaded_error", "overloaded"};
  }
  return {"server_error", nullptr};
}

}  // namespace

std::string openai_error_body(const ApiError& error) {
  const Names names = names_of(error.kind);
  Json inner = {{"message", error.message},
                {"type", names.type},
                {"param", error.field.empty() ? Json(nullptr) : Json(error.field)},
                {"code", names.code == nullptr ? Json(nullptr) : Json(names.code)}};
  if (error.kind == ApiErrorKind::kContextExceeded) {
    inner["n_prompt_tokens"] = error.prompt_tokens;
    inner["n_ctx"] = error.context;
  }
  Json body = Json::object();
  body["error"] = std::move(inner);
  return json_text(body);
}

http::Response openai_error(const ApiError& error) {
  http::Response response = http::json_response(error.status, openai_error_body(error));
  if (error.retry_after.count() > 0) response.fields.add("Retry-After", std::to_string(error.retry_after.count()));
  return response;
}

http::Response openai_http_error(int status, const std::string& message) {
  return openai_error(http_error(status, message));
}

}  // namespace mlxr::server
