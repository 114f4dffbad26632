#pragma once
// Daemon: all parts of mlxrunnerd put together and kept running: settings, log, registry, access, service, routes,
// listeners. `mlxrunnerd` and `mlxr serve` are this and nothing else.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "daemon/settings/settings_file.h"

namespace mlxr::server {

struct DaemonOptions {
  SettingsInputs settings = {};
  std::string version = {};
};

class Daemon {
 public:
  // Listens when it returns. Errors are one line that says what to do.
  static Result<std::unique_ptr<Daemon>> start(DaemonOptions options);
  // stop(), with the setting shutdown_timeout.
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // "unix:/run/user/1000/mlxrunner/mlxrunner.sock", "http://127.0.0.1:11434", one a listener.
  std::vector<std::string> addresses() const;
  // Reads server.yaml and the environment again, and opens the log file again. What needs a restart is said in the log.
  Status reload();
  // Takes no more requests, lets open ones end until shutdown_timeout, cancels the rest.
  void stop();

 private:
  class Parts;
  explicit Daemon(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

// Runs until SIGINT or SIGTERM; SIGHUP reloads. Prints where it listens to standard error, and tells systemd when it is
// ready (NOTIFY_SOCKET). The main thread; other threads must not have been started.
Status run_daemon(DaemonOptions options);

}  // namespace mlxr::server
