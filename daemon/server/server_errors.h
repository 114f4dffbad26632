#pragma once
// What goes wrong, as HTTP sees it: a status and the few things that dialects put into their error objects. The one
// place that turns a Status into HTTP.

#include <chrono>
#include <cstdint>
#include <string>

#include "core/base/status.h"
#include "daemon/service/answer_event.h"

namespace mlxr::server {

enum class ApiErrorKind : std::uint8_t {
  kInvalidRequest,   // 400
  kUnsupported,      // 400: understood, and not something that this server or model does
  kContextExceeded,  // 400: prompt_tokens and context are set
  kNoKey,            // 401
  kForbidden,        // 403
  kNotFound,         // 404
  kModelNotFound,    // 404
  kTooLarge,         // 413
  kRateLimited,      // 429
  kCancelled,        // 499
  kInternal,         // 500
  kOverloaded,       // 503: the queue or the memory is full
};

int http_status(ApiErrorKind kind);

struct ApiError {
  ApiErrorKind kind = ApiErrorKind::kInternal;
  int status = 500;
  std::string message;                  // one line
  std::string field = {};               // of the request that is wrong; empty: none in particular
  std::int64_t prompt_tokens = 0;       // of kContextExceeded
  std::int64_t context = 0;             // the same
  std::chrono::seconds retry_after{0};  // 0: no advice
};

ApiError make_error(ApiErrorKind kind, std::string message, std::string field = {});
ApiError to_api_error(const Status& status);
ApiError to_api_error(const AnswerFailed& failed);
// What the HTTP server found by itself: a dialect's http::ErrorShape begins with it.
ApiError http_error(int status, const std::string& message);

}  // namespace mlxr::server
