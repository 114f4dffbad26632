#pragma once
// The command line of mlxrunnerd: --config FILE, and a flag for every setting.

#include <span>
#include <string>

#include "daemon/server/daemon.h"

namespace mlxr::server {

struct DaemonFlags {
  enum class Action : std::uint8_t { kRun, kHelp, kVersion };
  Action action = Action::kRun;
  DaemonOptions options = {};
};

// kInvalidArgument: an unknown flag (with the nearest one) or one without its value.
Result<DaemonFlags> parse_daemon_flags(std::span<const char* const> arguments);
std::string daemon_help();

}  // namespace mlxr::server
