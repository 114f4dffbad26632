#pragma once
// MLXR's own routes: what no other server's dialect has a word for.
//
//   GET    /health/deep                 one token from each loaded model, and the age of its last step
//   GET    /metrics                     Prometheus
//   GET    /v1/server                   version, listeners, uptime
//   GET    /v1/running                  loaded models with their memory, requests, cache and speculation
//   POST   /v1/models/load|unload|pin   {model, keep_alive?} | {model} | {model, pinned}
//   POST   /v1/models/import            {path, name?}: index files where they lie
//   POST   /v1/memory/plan              {model, context?, kv_type?}: what a model would need
//   GET    /v1/requests                 open requests
//   DELETE /v1/requests/{id}            cancels one
//   GET    /v1/requests/{id}/trace      what one went through
//   GET    /v1/keys  POST /v1/keys  DELETE /v1/keys/{id}
//   GET    /v1/usage                    ?days=30
//
// One file a group; each adds its routes.

#include "daemon/http/router.h"
#include "daemon/server/daemon_routes.h"

namespace mlxr::server {

// `services` must outlive the routes.
void register_health_routes(http::Router& router, const DaemonServices& services);
void register_model_routes(http::Router& router, const DaemonServices& services);
void register_request_routes(http::Router& router, const DaemonServices& services);
void register_key_routes(http::Router& router, const DaemonServices& services);

}  // namespace mlxr::server
