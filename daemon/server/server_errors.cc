#include "daemon/server/server_errors.h"

#include <utility>

#include <fmt/core.h>

namespace mlxr::server {
namespace {

// Long enough for a step or two, short enough that a free server is noticed.
constexpr std::chrono::seconds kRetryAfter{2};

ApiErrorKind kind_of(StatusCode code) {
  switch (code) {
    case StatusCode::kInvalidArgument:
      return ApiErrorKind::kInvalidRequest;
    case StatusCode::kNotFound:
      return ApiErrorKind::kNotFound;
    case StatusCode::kUnsupported:
      return ApiErrorKind::kUnsupported;
    case StatusCode::kResourceExhausted:
      return ApiErrorKind::kOverloaded;
    case StatusCode::kCancelled:
      return ApiErrorKind::kCancelled;
    case StatusCode::kOk:
    case StatusCode::kCorrupt:
    case StatusCode::kInternal:
      break;
  }
  return ApiErrorKind::kInternal;
}

}  // namespace

int http_status(ApiErrorKind kind) {
  switch (kind) {
    case ApiErrorKind::kInvalidRequest:
    case ApiErrorKind::kUnsupported:
    case ApiErrorKind::kContextExceeded:
      return 400;
    case ApiErrorKind::kNoKey:
      return 401;
    case ApiErrorKind::kForbidden:
      return 403;
    case ApiErrorKind::kNotFound:
    case ApiErrorKind::kModelNotFound:
      return 404;
    case ApiErrorKind::kTooLarge:
      return 413;
    case ApiErrorKind::kRateLimited:
      return 429;
    case ApiErrorKind::kCancelled:
      return 499;
    case ApiErrorKind::kInternal:
      return 500;
    case ApiErrorKind::kOverloaded:
      return 503;
  }
  return 500;
}

ApiError make_error(ApiErrorKind kind, std::string message, std::string field) {
  ApiError error;
  error.kind = kind;
  error.status = http_status(kind);
  error.message = std::move(message);
  error.field = std::move(field);
  if (kind == ApiErrorKind::kOverloaded) error.retry_after = kRetryAfter;
  return error;
}

ApiError to_api_error(const Status& status) {
  return make_error(kind_of(status.code()), status.message());
}

ApiError to_api_error(const AnswerFailed& failed) {
  switch (failed.kind) {
    case AnswerFailed::Kind::kModelNotFound:
      return make_error(ApiErrorKind::kModelNotFound, failed.status.message(), "model");
    case AnswerFailed::Kind::kContextExceeded: {
      // The wording that clients of llama-server search for the two numbers.
      ApiError error = make_error(
          ApiErrorKind::kContextExceeded,
          fmt::format("request ({} tokens) exceeds the available context size ({} tokens), try increasing it",
                      failed.prompt_tokens, failed.context));
      error.prompt_tokens = failed.prompt_tokens;
      error.context = failed.context;
      return error;
    }
    case AnswerFailed::Kind::kQueueFull:
    case AnswerFailed::Kind::kMemoryFull:
      return make_error(ApiErrorKind::kOverloaded, failed.status.message());
    case AnswerFailed::Kind::kOther:
      break;
  }
  return to_api_error(failed.status);
}

ApiError http_error(int status, const std::string& message) {
  ApiErrorKind kind = status >= 500 ? ApiErrorKind::kInternal : ApiErrorKind::kInvalidRequest;
  for (const ApiErrorKind each : {ApiErrorKind::kNoKey, ApiErrorKind::kForbidden, ApiErrorKind::kNotFound,
                                  ApiErrorKind::kTooLarge, ApiErrorKind::kRateLimited, ApiErrorKind::kOverloaded}) {
    if (http_status(each) == status) kind = each;
  }
  ApiError error = make_error(kind, message);
  error.status = status;
  return error;
}

}  // namespace mlxr::server
