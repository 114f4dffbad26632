#pragma once
// What MLXR's own routes share: errors as {"error": {"message", "type", "field"?}}, bodies read field by field.

#include <functional>
#include <memory>
#include <string>

#include "daemon/http/exchange.h"
#include "daemon/server/json.h"
#include "daemon/server/json_fields.h"
#include "daemon/server/server_errors.h"

namespace mlxr::server {

http::Response native_error(const ApiError& error);
http::Response native_answer(const Json& value, int status = 200);
// The answer of a call that gives nothing back: {} or the error.
http::Response native_answer(const Status& status);

// Reads a JSON object and answers what `handle` makes of it, or why it could not be read. Unknown members are refused:
// these routes have no other implementation whose clients would send more.
http::Response with_json_body(const http::Request& request,
                              const std::function<http::Response(JsonFields& fields)>& handle);

}  // namespace mlxr::server
