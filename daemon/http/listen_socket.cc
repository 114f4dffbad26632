#include "daemon/http/listen_socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include <fmt/core.h>

#include "daemon/http/server.h"

namespace mlxr::http {
namespace {

constexpr int kBacklog = 1024;

Status system_error(const std::string& where, std::string_view what, int error) {
  return internal(fmt::format("{}: {}: {}", where, what, std::strerror(error)));
}

// Closed when it goes out of scope.
struct Descriptor {
  explicit Descriptor(int number) : fd(number) {}
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int fd;
};

bool set_flags(int fd) {
  return ::fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && ::fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
}

int make_socket(int family) {
  const int fd = ::socket(family, SOCK_STREAM, 0);
  if (fd >= 0 && !set_flags(fd)) {
    ::close(fd);
    return -1;
  }
  return fd;
}

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Not waited for without end: in a shared folder anybody can hold the lock.
void lock_folder(int fd) {
  for (int i = 0; i < 100 && ::flock(fd, LOCK_EX | LOCK_NB) != 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

Status make_room(const std::string& path, const sockaddr_un& address) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return {};
    return system_error(path, "cannot look at what is there", errno);
  }
  if (!S_ISSOCK(info.st_mode)) return invalid_argument(path + ": there is a file that is not a socket");
  const Descriptor probe(make_socket(AF_UNIX));
  if (probe.fd < 0) return system_error(path, "cannot make a socket", errno);
  if (::connect(probe.fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 || errno == EAGAIN ||
      errno == EINPROGRESS) {
    return invalid_argument(path + ": another server answers at this socket");
  }
  if (errno != ECONNREFUSED && errno != ENOENT) return system_error(path, "cannot tell who listens there", errno);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return system_error(path, "cannot remove a stale socket", errno);
  return {};
}

std::string address_text(const sockaddr_storage& storage) {
  char text[INET6_ADDRSTRLEN] = {};
  if (storage.ss_family == AF_INET) {
    const auto& address = reinterpret_cast<const sockaddr_in&>(storage);
    inet_ntop(AF_INET, &address.sin_addr, text, sizeof text);
    return fmt::format("{}:{}", text, ntohs(address.sin_port));
  }
  if (storage.ss_family == AF_INET6) {
    const auto& address = reinterpret_cast<const sockaddr_in6&>(storage);
    inet_ntop(AF_INET6, &address.sin6_addr, text, sizeof text);
    return fmt::format("[{}]:{}", text, ntohs(address.sin6_port));
  }
  return "";
}

}  // namespace

Result<ListenSocket> ListenSocket::open(const Listener& listener) {
  ListenSocket made;
  MLXR_RETURN_IF_ERROR(listener.unix_path.empty() ? made.open_tcp(listener) : made.open_unix(listener.unix_path));
  return made;
}

ListenSocket::ListenSocket(ListenSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      family_(other.family_),
      address_(std::move(other.address_)),
      bound_(std::move(other.bound_)),
      unix_path_(std::exchange(other.unix_path_, "")),
      device_(other.device_),
      inode_(other.inode_) {}

ListenSocket::~ListenSocket() {
  struct stat info {};
  if (!unix_path_.empty() && ::lstat(unix_path_.c_str(), &info) == 0 && info.st_dev == device_ &&
      info.st_ino == inode_) {
    ::unlink(unix_path_.c_str());
  }
  if (fd_ >= 0) ::close(fd_);
}

Status ListenSocket::open_unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path || path.find('\0') != std::string::npos) {
    return invalid_argument(
        fmt::format("{}: the path of a socket has at most {} bytes", path, sizeof address.sun_path - 1));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  const std::string folder = folder_of(path);
  const Descriptor held(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (held.fd < 0) return system_error(folder, "cannot open the socket's folder", errno);
  lock_folder(held.fd);
  MLXR_RETURN_IF_ERROR(make_room(path, address));

  fd_ = make_socket(AF_UNIX);
  if (fd_ < 0) return system_error(path, "cannot make a socket", errno);
  if (::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return system_error(path, "cannot bind", errno);
  }
  struct stat info {};
  if (::chmod(path.c_str(), 0600) != 0 || ::lstat(path.c_str(), &info) != 0) {
    return system_error(path, "cannot set the mode", errno);
  }
  unix_path_ = path;
  device_ = info.st_dev;
  inode_ = info.st_ino;
  if (::listen(fd_, kBacklog) != 0) return system_error(path, "cannot listen", errno);
  family_ = AF_UNIX;
  address_ = "unix:" + path;
  return {};
}

Status ListenSocket::open_tcp(const Listener& listener) {
  const std::string host = listener.host == "localhost" ? "127.0.0.1" : listener.host;
  const std::string where = fmt::format("{}:{}", listener.host, listener.port);
  sockaddr_storage storage{};
  socklen_t size = 0;
  if (auto* v4 = reinterpret_cast<sockaddr_in*>(&storage); inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(listener.port);
    size = sizeof *v4;
  } else {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
    const bool bracketed = host.starts_with('[') && host.ends_with(']');
    const std::string bare = bracketed ? host.substr(1, host.size() - 2) : host;
    if (inet_pton(AF_INET6, bare.c_str(), &v6->sin6_addr) != 1) {
      return invalid_argument(fmt::format("{}: the host of a listener is an address or localhost", where));
    }
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(listener.port);
    size = sizeof *v6;
  }
  family_ = storage.ss_family;
  fd_ = make_socket(family_);
  if (fd_ < 0) return system_error(where, "cannot make a socket", errno);
  const int on = 1;
  const int off = 0;
  ::setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (family_ == AF_INET6) ::setsockopt(fd_, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (::bind(fd_, reinterpret_cast<const sockaddr*>(&storage), size) != 0) {
    if (errno == EADDRINUSE) return invalid_argument(where + ": another program listens there");
    return system_error(where, "cannot bind", errno);
  }
  if (::listen(fd_, kBacklog) != 0) return system_error(where, "cannot listen", errno);
  size = sizeof storage;
  if (::getsockname(fd_, reinterpret_cast<sockaddr*>(&storage), &size) != 0) {
    return system_error(where, "cannot tell the address", errno);
  }
  const std::string text = address_text(storage);
  address_ = (listener.tls_certificate.empty() ? "http://" : "https://") + text;
  bound_ = text.substr(0, text.rfind(':'));
  if (bound_.starts_with('[')) bound_ = bound_.substr(1, bound_.size() - 2);
  return {};
}

ListenSocket::AcceptState ListenSocket::accept(Accepted& accepted) const {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  const int fd = ::accept(fd_, reinterpret_cast<sockaddr*>(&storage), &size);
  if (fd < 0) {
    switch (errno) {
      case EAGAIN:
        return AcceptState::kNone;
      case EMFILE:
      case ENFILE:
      case ENOBUFS:
      case ENOMEM:
        return AcceptState::kExhausted;
      case EBADF:
      case EINVAL:
        return AcceptState::kFailed;
      default:
        return AcceptState::kNone;  // this one connection failed before it was taken
    }
  }
  if (!set_flags(fd)) {
    ::close(fd);
    return AcceptState::kNone;
  }
  if (family_ != AF_UNIX) {
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    accepted.peer.address = address_text(storage);
  }
  accepted.peer.local_socket = family_ == AF_UNIX;
  accepted.fd = fd;
  return AcceptState::kAccepted;
}

}  // namespace mlxr::http
