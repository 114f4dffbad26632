#include "daemon/http/wire.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ssl.hpp>
#include <fmt/core.h>

#include "daemon/http/loop.h"

namespace mlxr::http {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Socket = asio::generic::stream_protocol::socket;

void close_socket(Socket& socket, bool reset) {
  error_code ignored;
  if (reset) socket.set_option(asio::socket_base::linger(true, 0), ignored);
  socket.close(ignored);
}

// Reads and writes when the socket is ready, so that an idle connection holds no buffer.
class PlainWire final : public Wire {
 public:
  PlainWire(Loop& loop, int fd, int family) : loop_(loop), socket_(loop.context) {
    socket_.assign(asio::generic::stream_protocol(family, 0), fd);
  }

  void handshake(std::function<void(bool ok)> done) override {
    loop_.post([done = std::move(done)] { done(true); });
  }

  void read(std::function<void(ReadState, std::string_view)> done) override {
    socket_.async_wait(Socket::wait_read, [this, done = std::move(done)](const error_code& failed) mutable {
      if (failed) return done(ReadState::kFailed, {});
      const ssize_t size = ::recv(socket_.native_handle(), loop_.read_buffer.data(), loop_.read_buffer.size(), 0);
      if (size > 0) return done(ReadState::kData, {loop_.read_buffer.data(), static_cast<std::size_t>(size)});
      if (size == 0) return done(ReadState::kEnd, {});
      if (errno == EAGAIN || errno == EINTR) return read(std::move(done));
      done(ReadState::kFailed, {});
    });
  }

  std::optional<Written> write(std::string_view first, std::string_view second,
                               std::function<void(Written)> done) override {
    iovec parts[2] = {{const_cast<char*>(first.data()), first.size()},
                      {const_cast<char*>(second.data()), second.size()}};
    msghdr message{};
    message.msg_iov = first.empty() ? parts + 1 : parts;
    message.msg_iovlen = first.empty() || second.empty() ? 1 : 2;
    const ssize_t size = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL);
    if (size >= 0) return Written{true, static_cast<std::size_t>(size)};
    if (errno != EAGAIN && errno != EINTR) return Written{false, 0};
    socket_.async_wait(Socket::wait_write, [done = std::move(done)](const error_code& failed) { done({!failed, 0}); });
    return std::nullopt;
  }

  // Nobody who is wanted sends urgent data, the other cause of this event: then the watch ends.
  void watch_hangup(std::function<void()> gone) override {
    socket_.async_wait(Socket::wait_error, [this, gone = std::move(gone)](const error_code& failed) {
      if (failed) return;
      pollfd polled{socket_.native_handle(), 0, 0};
      if (::poll(&polled, 1, 0) == 1 && (polled.revents & (POLLHUP | POLLERR)) != 0) gone();
    });
  }

  void shut_down() override {
    error_code ignored;
    socket_.shutdown(Socket::shutdown_send, ignored);
  }

  void close(bool reset) override { close_socket(socket_, reset); }

 private:
  Loop& loop_;
  Socket socket_;
};

class OpenSslIdentity final : public TlsIdentity {
 public:
  asio::ssl::context context{asio::ssl::context::tls_server};
};

class TlsWire final : public Wire {
 public:
  TlsWire(Loop& loop, int fd, int family, std::shared_ptr<OpenSslIdentity> identity)
      : identity_(std::move(identity)), state_(std::make_shared<State>(loop, identity_->context)) {
    state_->stream.next_layer().assign(asio::generic::stream_protocol(family, 0), fd);
  }

  void handshake(std::function<void(bool ok)> done) override {
    state_->stream.async_handshake(asio::ssl::stream_base::server, [state = state_, done = std::move(done)](
                                                                       const error_code& failed) { done(!failed); });
  }

  void read(std::function<void(ReadState, std::string_view)> done) override {
    state_->stream.async_read_some(asio::buffer(state_->buffer), [state = state_, done = std::move(done)](
                                                                     const error_code& failed, std::size_t size) {
      if (failed == asio::error::eof) return done(ReadState::kEnd, {});
      if (failed) return done(ReadState::kFailed, {});
      done(ReadState::kData, {state->buffer.data(), size});
    });
  }

  std::optional<Written> write(std::string_view first, std::string_view second,
                               std::function<void(Written)> done) override {
    const std::string_view part = first.empty() ? second : first;
    state_->stream.async_write_some(
        asio::buffer(part), [state = state_, done = std::move(done)](const error_code& failed, std::size_t size) {
          done({!failed, size});
        });
    return std::nullopt;
  }

  void watch_hangup(std::function<void()> gone) override {
    state_->loop.post(std::move(gone));  // half a TLS connection serves nobody
  }

  void shut_down() override {
    if (std::exchange(shut_, true)) return;
    state_->stream.async_shutdown([state = state_](const error_code&) {});
  }

  void close(bool reset) override { close_socket(state_->stream.next_layer(), reset); }

 private:
  // Held by what is under way: OpenSSL's engine must outlive it.
  struct State {
    State(Loop& on, asio::ssl::context& context) : loop(on), stream(on.context, context) {}
    Loop& loop;
    asio::ssl::stream<Socket> stream;
    std::array<char, std::size_t{16} << 10> buffer;
  };
  std::shared_ptr<OpenSslIdentity> identity_;
  std::shared_ptr<State> state_;
  bool shut_ = false;
};

// HTTP/1.1 is all that is spoken; a client that offers other protocols only is turned away.
int select_protocol(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* offered,
                    unsigned size, void*) {
  static constexpr unsigned char kHttp11[] = "\x08http/1.1";
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, kHttp11, sizeof kHttp11 - 1, offered, size) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace

Result<std::shared_ptr<TlsIdentity>> TlsIdentity::load(const std::string& certificate_file,
                                                       const std::string& key_file) {
  auto identity = std::make_shared<OpenSslIdentity>();
  error_code failed;
  identity->context.use_certificate_chain_file(certificate_file, failed);
  if (failed) return invalid_argument(fmt::format("{}: no TLS certificate: {}", certificate_file, failed.message()));
  identity->context.use_private_key_file(key_file, asio::ssl::context::pem, failed);
  if (failed) return invalid_argument(fmt::format("{}: no key of the certificate: {}", key_file, failed.message()));
  SSL_CTX* native = identity->context.native_handle();
  if (SSL_CTX_check_private_key(native) != 1) {
    return invalid_argument(fmt::format("{}: not the key of {}", key_file, certificate_file));
  }
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  SSL_CTX_set_options(native, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_alpn_select_cb(native, select_protocol, nullptr);
  return std::shared_ptr<TlsIdentity>(std::move(identity));
}

std::unique_ptr<Wire> Wire::make(Loop& loop, int fd, int family, const std::shared_ptr<TlsIdentity>& identity) {
  if (identity == nullptr) return std::make_unique<PlainWire>(loop, fd, family);
  return std::make_unique<TlsWire>(loop, fd, family, std::static_pointer_cast<OpenSslIdentity>(identity));
}

}  // namespace mlxr::http
