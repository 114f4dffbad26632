// mlxrunnerd: the daemon, in the foreground; a service manager or `mlxr` puts it where it belongs.

#include <cstdio>
#include <string>

#include <fmt/core.h>

#include "daemon/server/daemon_flags.h"

int main(int argc, char** argv) {
  using mlxr::server::DaemonFlags;
  mlxr::Result<DaemonFlags> flags =
      mlxr::server::parse_daemon_flags({const_cast<const char* const*>(argv) + 1, static_cast<std::size_t>(argc - 1)});
  if (!flags.ok()) {
    fmt::print(stderr, "mlxrunnerd: {}\n", flags.status().message());
    return 2;
  }
  if (flags->action == DaemonFlags::Action::kHelp) {
    fmt::print("{}", mlxr::server::daemon_help());
    return 0;
  }
  if (flags->action == DaemonFlags::Action::kVersion) {
    fmt::print("mlxrunnerd {}\n", MLXR_VERSION);
    return 0;
  }
  flags->options.version = MLXR_VERSION;
  const mlxr::Status status = mlxr::server::run_daemon(std::move(flags->options));
  if (status.ok()) return 0;
  fmt::print(stderr, "mlxrunnerd: {}\n", status.message());
  return 1;
}
