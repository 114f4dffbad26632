#pragma once
// ListenSocket: a socket that listens, by the system's own calls.
//
// A Unix socket takes the place of one that nobody answers at any more, never of one that is answered or of another
// kind of file; two servers that start at once are kept apart by a lock on the folder. It gets mode 0600 between bind
// and listen, so that nobody can connect before. It is removed again unless another file has taken its place.

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "core/base/status.h"
#include "daemon/http/message.h"

namespace mlxr::http {

struct Listener;

// A connection that was accepted: non-blocking, closed on exec.
struct Accepted {
  int fd = -1;
  Peer peer;
};

class ListenSocket {
 public:
  static Result<ListenSocket> open(const Listener& listener);
  ~ListenSocket();
  ListenSocket(ListenSocket&& other) noexcept;
  ListenSocket& operator=(ListenSocket&&) = delete;

  int fd() const { return fd_; }
  int family() const { return family_; }
  const std::string& address() const { return address_; }  // as Server::addresses() gives it
  const std::string& bound() const { return bound_; }      // the literal address of TCP

  enum class AcceptState : std::uint8_t { kAccepted, kNone, kExhausted, kFailed };
  // Does not wait. kExhausted: no descriptor or memory is left.
  AcceptState accept(Accepted& accepted) const;

 private:
  ListenSocket() = default;
  Status open_unix(const std::string& path);
  Status open_tcp(const Listener& listener);

  int fd_ = -1;
  int family_ = 0;
  std::string address_;
  std::string bound_;
  std::string unix_path_;  // to be removed
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace mlxr::http
