#pragma once
// Wire: the bytes of one connection, plain or encrypted. One thread. At most one read and one write at a time; each
// function given runs once, later, on the loop, also after close().

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/status.h"

namespace mlxr::http {

class Loop;

// A certificate and its key, for TLS 1.2 and later.
class TlsIdentity {
 public:
  virtual ~TlsIdentity() = default;
  static Result<std::shared_ptr<TlsIdentity>> load(const std::string& certificate_file, const std::string& key_file);
};

class Wire {
 public:
  // Owns `fd`, a connected non-blocking socket. `identity` may be null: plain.
  static std::unique_ptr<Wire> make(Loop& loop, int fd, int family, const std::shared_ptr<TlsIdentity>& identity);
  virtual ~Wire() = default;

  enum class ReadState : std::uint8_t { kData, kEnd, kFailed };
  struct Written {
    bool ok = false;
    std::size_t bytes = 0;  // may be 0: try again
  };

  virtual void handshake(std::function<void(bool ok)> done) = 0;
  // The bytes hold during the call.
  virtual void read(std::function<void(ReadState state, std::string_view bytes)> done) = 0;
  // What the system takes at once, of `first` and then of `second`; nullopt: `done` will be called, and the bytes must
  // hold until then.
  virtual std::optional<Written> write(std::string_view first, std::string_view second,
                                       std::function<void(Written)> done) = 0;
  // After the end was read: whether the peer has closed its reading side too, once that can be told. May never run.
  virtual void watch_hangup(std::function<void()> gone) = 0;
  // No more will be written.
  virtual void shut_down() = 0;
  // reset: so that the peer sees an error rather than an end.
  virtual void close(bool reset) = 0;
};

}  // namespace mlxr::http
