#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <fmt/core.h>

#include "daemon/server/daemon.h"

namespace mlxr::server {
namespace {

// sd_notify(3): a datagram to the socket that the service manager named. Nothing where there is none.
void notify_manager(const char* state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr || path[0] == '\0') return;
  sockaddr_un address{};
  const std::size_t length = std::strlen(path);
  if (length >= sizeof address.sun_path) return;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path, length);
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';  // the abstract namespace
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
  // Nobody is told when this fails: the manager then times out, which is what it should do.
  static_cast<void>(
      ::sendto(fd, state, std::strlen(state), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address), size));
  ::close(fd);
}

}  // namespace

Status run_daemon(DaemonOptions options) {
  // Blocked here, before there are other threads, so that all inherit it and sigwait alone sees these.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP})
    sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  MLXR_ASSIGN_OR_RETURN(const std::unique_ptr<Daemon> daemon, Daemon::start(std::move(options)));
  for (const std::string& address : daemon->addresses())
    fmt::print(stderr, "mlxrunnerd: listening on {}\n", address);
  notify_manager("READY=1");
  while (true) {
    int signal = 0;
    if (sigwait(&signals, &signal) != 0) continue;
    if (signal != SIGHUP) break;
    notify_manager("RELOADING=1");
    // What is wrong with the new settings is in the log; the old ones stay in force.
    static_cast<void>(daemon->reload().ok());
    notify_manager("READY=1");
  }
  // A second signal ends the program at once.
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  notify_manager("STOPPING=1");
  daemon->stop();
  return {};
}

}  // namespace mlxr::server
