#pragma once
// POST /v1/replay: runs a recorded request again and answers what came of it this time, as a record. `mlxr replay`
// compares the two.

#include <memory>

#include "daemon/http/router.h"
#include "daemon/server/daemon_routes.h"
#include "daemon/server/recording_service.h"

namespace mlxr::server {

// Both must outlive the routes. Recorded requests go to the routes that `routes` gives, once the table is complete.
void register_replay_routes(http::Router& router, const DaemonServices& services,
                            std::shared_ptr<const http::Router> routes);

}  // namespace mlxr::server
