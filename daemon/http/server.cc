#include "daemon/http/server.h"

#include <unistd.h>

#include <algorithm>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "daemon/http/connection.h"
#include "daemon/http/listen_socket.h"

namespace mlxr::http {
namespace {

namespace asio = boost::asio;

constexpr int kAcceptsAtOnce = 64;
constexpr std::chrono::milliseconds kExhaustedPause{50};
// Connections over the limit that get an answer; those beyond are closed without one.
constexpr std::uint64_t kMaxRefusing = 64;

}  // namespace

class Server::Impl {
 public:
  Impl(Router router, ServerOptions options)
      : core_(std::make_shared<ServerCore>(std::move(router), std::move(options))) {}

  ~Impl() { stop(std::chrono::steady_clock::now()); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Status start() {
    for (int i = 0; i < std::max(core_->options.num_threads, 1); ++i)
      loops_.push_back(std::make_shared<Loop>());
    for (const Listener& listener : core_->options.listeners) {
      if (listener.unix_path.empty() && listener.host.empty()) {
        return invalid_argument("a listener has neither a socket's path nor a host");
      }
      std::shared_ptr<TlsIdentity> identity;
      if (!listener.tls_certificate.empty()) {
        MLXR_ASSIGN_OR_RETURN(identity, TlsIdentity::load(listener.tls_certificate, listener.tls_key));
      }
      MLXR_ASSIGN_OR_RETURN(ListenSocket socket, ListenSocket::open(listener));
      acceptors_.push_back(std::make_unique<Acceptor>(*this, std::move(socket), std::move(identity)));
    }
    for (const auto& loop : loops_)
      loop->start();
    for (const auto& acceptor : acceptors_) {
      loops_.front()->post([&acceptor = *acceptor] { acceptor.wait(); });
    }
    return {};
  }

  std::vector<std::string> addresses() const {
    std::vector<std::string> all;
    for (const auto& acceptor : acceptors_)
      all.push_back(acceptor->address());
    return all;
  }

  ServerCounts counts() const {
    ServerCounts counts;
    {
      const std::lock_guard lock(core_->mutex);
      counts.connections = core_->connections;
    }
    counts.exchanges = core_->exchanges;
    counts.accepted = core_->accepted;
    counts.refused = core_->refused;
    counts.requests = core_->requests;
    return counts;
  }

  void stop(std::chrono::steady_clock::time_point deadline) {
    const std::lock_guard once(stop_mutex_);
    if (stopped_) return;
    stopped_ = true;
    core_->stopping = true;
    for (const auto& acceptor : acceptors_) {
      loops_.front()->post([&acceptor = *acceptor] { acceptor.close(); });
    }
    for (const auto& loop : loops_)
      loop->post([&loop = *loop] { wake_connections(loop); });
    wait_for_none(deadline);
    for (const auto& loop : loops_)
      loop->post([&loop = *loop] { cut_connections(loop); });
    // Nothing but a body on its way to the disk can hold this up.
    wait_for_none(std::chrono::steady_clock::now() + std::chrono::seconds(5));
    for (const auto& loop : loops_)
      loop->stop();
    for (const auto& acceptor : acceptors_)
      acceptor->close();  // where the loop did not come to it
    core_->workers.stop();
    core_->disk.stop();
  }

 private:
  class Acceptor {
   public:
    Acceptor(Impl& server, ListenSocket socket, std::shared_ptr<TlsIdentity> identity)
        : server_(server),
          address_(socket.address()),
          socket_(std::in_place, std::move(socket)),
          identity_(std::move(identity)),
          descriptor_(server.loops_.front()->context, socket_->fd()),
          pause_(server.loops_.front()->context) {}
    ~Acceptor() { close(); }
    Acceptor(const Acceptor&) = delete;
    Acceptor& operator=(const Acceptor&) = delete;

    const std::string& address() const { return address_; }

    void wait() {
      if (!socket_) return;
      descriptor_.async_wait(asio::posix::stream_descriptor::wait_read,
                             [this](const boost::system::error_code& failed) {
                               if (!failed) accept();
                             });
    }

    // The peers see a refused connection; the file of a Unix socket is gone.
    void close() {
      if (!socket_) return;
      pause_.cancel();
      descriptor_.release();  // the socket closes itself
      socket_.reset();
    }

   private:
    void accept() {
      for (int i = 0; i < kAcceptsAtOnce && socket_; ++i) {
        Accepted accepted;
        switch (socket_->accept(accepted)) {
          case ListenSocket::AcceptState::kAccepted:
            accepted.peer.tls = identity_ != nullptr;
            server_.take(std::move(accepted), *socket_, identity_);
            break;
          case ListenSocket::AcceptState::kNone:
            return wait();
          case ListenSocket::AcceptState::kExhausted:
            pause_.expires_after(kExhaustedPause);
            pause_.async_wait([this](const boost::system::error_code& failed) {
              if (!failed) wait();
            });
            return;
          case ListenSocket::AcceptState::kFailed:
            return;
        }
      }
      wait();
    }

    Impl& server_;
    const std::string address_;
    std::optional<ListenSocket> socket_;
    const std::shared_ptr<TlsIdentity> identity_;
    asio::posix::stream_descriptor descriptor_;
    asio::steady_timer pause_;
  };

  void take(Accepted accepted, const ListenSocket& socket, const std::shared_ptr<TlsIdentity>& identity) {
    ConnectionOptions options{.peer = std::move(accepted.peer), .bound = socket.bound()};
    {
      const std::lock_guard lock(core_->mutex);
      if (core_->stopping) {
        ::close(accepted.fd);
        return;
      }
      options.refuse = core_->connections >= core_->options.max_connections;
      if (options.refuse) {
        ++core_->refused;
        if (core_->refusing >= kMaxRefusing) {
          ::close(accepted.fd);
          return;
        }
        ++core_->refusing;
      } else {
        ++core_->accepted;
        ++core_->connections;
      }
    }
    const auto& loop = loops_[next_loop_++ % loops_.size()];
    loop->post(
        [core = core_, loop, fd = accepted.fd, family = socket.family(), identity, options = std::move(options)] {
          start_connection(core, loop, Wire::make(*loop, fd, family, identity), options);
        });
  }

  void wait_for_none(std::chrono::steady_clock::time_point deadline) {
    std::unique_lock lock(core_->mutex);
    core_->none_left.wait_until(lock, deadline, [&] { return core_->connections + core_->refusing == 0; });
  }

  const std::shared_ptr<ServerCore> core_;
  std::vector<std::shared_ptr<Loop>> loops_;
  std::vector<std::unique_ptr<Acceptor>> acceptors_;
  std::size_t next_loop_ = 0;
  std::mutex stop_mutex_;
  bool stopped_ = false;
};

Result<std::unique_ptr<Server>> Server::start(Router router, ServerOptions options) {
  auto impl = std::make_unique<Impl>(std::move(router), std::move(options));
  MLXR_RETURN_IF_ERROR(impl->start());
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;

std::vector<std::string> Server::addresses() const {
  return impl_->addresses();
}
ServerCounts Server::counts() const {
  return impl_->counts();
}
void Server::stop(std::chrono::steady_clock::time_point deadline) {
  impl_->stop(deadline);
}

}  // namespace mlxr::http
