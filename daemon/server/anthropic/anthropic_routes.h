#pragma once
// The routes of Anthropic's dialect: POST /v1/messages and /v1/messages/count_tokens. Keys come as x-api-key or as a
// bearer token. GET /v1/models carries the fields of both dialects.

#include "daemon/http/router.h"
#include "daemon/server/dialect_services.h"

namespace mlxr::server {

void register_anthropic_routes(http::Router& router, const DialectServices& services);

}  // namespace mlxr::server
