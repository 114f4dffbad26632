#include "daemon/server/native/native_json.h"

namespace mlxr::server {
namespace {

const char* type_name(ApiErrorKind kind) {
  switch (kind) {
    case ApiErrorKind::kInvalidRequest:
      return "invalid_request";
    case ApiErrorKind::kUnsupported:
      return "unsupported";
    case ApiErrorKind::kContextExceeded:
      return "context_exceeded";
    case ApiErrorKind::kNoKey:
      return "no_key";
    case ApiErrorKind::kForbidden:
      return "forbidden";
    case ApiErrorKind::kNotFound:
      return "not_found";
    case ApiErrorKind::kModelNotFound:
      return "model_not_found";
    case ApiErrorKind::kTooLarge:
      return "too_large";
    case ApiErrorKind::kRateLimited:
      return "rate_limited";
    case ApiErrorKind::kCancelled:
      return "cancelled";
    case ApiErrorKind::kInternal:
      return "internal";
    case ApiErrorKind::kOverloaded:
      return "overloaded";
  }
  return "internal";
}

}  // namespace

http::Response native_error(const ApiError& error) {
  Json body = {{"message", error.message}, {"type", type_name(error.kind)}};
  if (!error.field.empty()) body["field"] = error.field;
  http::Response response = http::json_response(error.status, json_text({{"error", std::move(body)}}));
  if (error.retry_after.count() > 0) response.fields.set("Retry-After", std::to_string(error.retry_after.count()));
  return response;
}

http::Response native_answer(const Json& value, int status) {
  return http::json_response(status, json_text(value));
}

http::Response native_answer(const Status& status) {
  if (!status.ok()) return native_error(to_api_error(status));
  return native_answer(Json::object());
}

http::Response with_json_body(const http::Request& request,
                              const std::function<http::Response(JsonFields& fields)>& handle) {
  const Result<Json> body = parse_json_text(request.body);
  if (!body.ok()) return native_error(to_api_error(body.status()));
  RequestNotes notes;
  JsonFields fields(*body, "", notes);
  http::Response response = handle(fields);
  return notes.error ? native_error(*notes.error) : response;
}

}  // namespace mlxr::server
