#pragma once
// Shows what a stream of {"status", "digest", "total", "completed"} tells: a bar on a terminal, a line a step where
// there is none, the events themselves under --json. Pulls, pushes and creations are such streams.

#include <atomic>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "cli/daemon_client.h"
#include "cli/output.h"

namespace mlxr::cli {

// POSTs `body` to `path` and shows what comes until it ends. What people read goes to standard error.
Status follow_transfer(DaemonClient& client, const std::string& path, const nlohmann::ordered_json& body,
                       Output& output);

// Whether the daemon has a model of this name.
Result<bool> daemon_has_model(DaemonClient& client, const std::string& model);

}  // namespace mlxr::cli
