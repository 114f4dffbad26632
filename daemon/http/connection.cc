#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "daemon/http/connection_impl.h"

namespace mlxr::http {

namespace asio = boost::asio;
using boost::asio::awaitable;
using std::chrono::steady_clock;
using TimePoint = steady_clock::time_point;
using Event = RequestReader::Event;

namespace {

// What is read and thrown away after a last answer: closing over unread bytes would reset the connection, and the peer
// could lose the answer.
constexpr std::size_t kMaxLingerBytes = std::size_t{4} << 20;
constexpr std::chrono::milliseconds kLingerTime{1000};
constexpr std::uint64_t kMaxRequests = 100'000;  // of one connection

}  // namespace

Connection::Connection(std::shared_ptr<ServerCore> core, std::shared_ptr<Loop> loop, std::unique_ptr<Wire> wire,
                       ConnectionOptions options)
    : core_(std::move(core)),
      loop_(std::move(loop)),
      wire_(std::move(wire)),
      peer_(std::move(options.peer)),
      bound_(std::move(options.bound)),
      refuse_(options.refuse),
      timer_(loop_->context),
      reader_(core_->options.max_head_bytes) {
  loop_->connections.insert(this);
}

Connection::~Connection() {
  loop_->connections.erase(this);
  const std::lock_guard lock(core_->mutex);
  --(refuse_ ? core_->refusing : core_->connections);
  core_->none_left.notify_all();
}

void Connection::start() {
  asio::co_spawn(loop_->context, run(),
                 [self = shared_from_this()](const std::exception_ptr& thrown) { self->leave(thrown != nullptr); });
}

void Connection::wake() {
  if (std::exchange(awake_, true)) return;
  timer_.cancel();
}

void Connection::cut() {
  cut_ = true;
  wake();
}

awaitable<void> Connection::wait(TimePoint deadline) {
  if (!awake_) {
    timer_.expires_at(deadline);
    co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  awake_ = false;
}

void Connection::start_read() {
  if (reading_ || eof_ || dead()) return;
  reading_ = true;
  wire_->read(
      [self = shared_from_this()](Wire::ReadState state, std::string_view bytes) { self->on_read(state, bytes); });
}

void Connection::on_read(Wire::ReadState state, std::string_view bytes) {
  reading_ = false;
  if (state == Wire::ReadState::kFailed) {
    failed_ = true;
  } else if (state == Wire::ReadState::kEnd) {
    eof_ = true;
  } else {
    last_read_ = steady_clock::now();
    read_bytes_ += bytes.size();
    if (!discard_) reader_.feed(bytes);
  }
  wake();
}

awaitable<void> Connection::run() {
  if (peer_.tls) {
    const bool spoken = co_await handshake();
    if (!spoken) co_return;
  }
  for (bool more = true; more;) {
    more = co_await serve_one();
  }
  if (dead() || abandoned_) co_return;
  wire_->shut_down();
  if (!eof_ && !core_->stopping) co_await linger();
}

void Connection::leave(bool thrown) {
  if (exchange_ != nullptr) exchange_->finish(true);  // only when thrown out of an answer
  exchange_.reset();
  wire_->close(thrown || reset_);
}

awaitable<bool> Connection::handshake() {
  int outcome = -1;
  wire_->handshake([self = shared_from_this(), &outcome](bool ok) {
    outcome = ok ? 1 : 0;
    self->wake();
  });
  const TimePoint deadline = steady_clock::now() + core_->options.head_timeout;
  while (outcome < 0) {
    co_await wait(closing_ ? kNever : deadline);
    if (outcome < 0 && (cut_ || steady_clock::now() >= deadline)) {
      closing_ = true;  // the function above is called yet, and the frame must hold until then
      wire_->close(false);
    }
  }
  co_return outcome == 1 && !closing_;
}

awaitable<bool> Connection::serve_one() {
  reader_.start_next();
  const Event event = co_await read_head();
  if (event == Event::kError) {
    co_await answer_malformed(reader_.error().status, reader_.error().message);
    co_return false;
  }
  if (event != Event::kHead) co_return false;

  ++core_->requests;
  const RequestHead& head = reader_.head();
  Answer answer;
  answer.http11 = head.http11;
  answer.head_only = head.method == "HEAD";
  answer.keep_alive = head.keep_alive && !refuse_ && ++num_requests_ < kMaxRequests;
  const bool expects = head.expect_continue;
  const auto length = head.content_length;
  Admission admission;
  if (refuse_) {
    admission = refuse_all();
  } else {
    admission = admit(*core_, std::move(reader_.head()), peer_, bound_);
  }
  answer.id = admission.request.id;
  answer.cors = std::move(admission.cors);
  answer.route = admission.route;
  answer.path = admission.request.path;
  answer_ = &answer;
  if (!admission.answer) {
    reader_.limit_body(admission.max_body_bytes);
    admission.answer = co_await read_body(admission, expects, length.value_or(0));
    if (dead() || abandoned_) {
      answer_ = nullptr;
      co_return false;
    }
  } else if (!skip_body()) {
    answer.keep_alive = false;
  }
  if (admission.answer) {
    co_await answer_at_once(admission);
  } else {
    co_await answer_by_handler(admission);
  }
  answer_ = nullptr;
  co_return answer.keep_alive && !dead() && !abandoned_ && !eof_ && !core_->stopping;
}

awaitable<void> Connection::linger() {
  discard_ = true;
  const TimePoint deadline = steady_clock::now() + kLingerTime;
  const std::uint64_t limit = read_bytes_ + kMaxLingerBytes;
  while (!eof_ && !dead() && !core_->stopping && read_bytes_ < limit && steady_clock::now() < deadline) {
    start_read();
    co_await wait(deadline);
  }
}

void start_connection(std::shared_ptr<ServerCore> core, std::shared_ptr<Loop> loop, std::unique_ptr<Wire> wire,
                      ConnectionOptions options) {
  std::make_shared<Connection>(std::move(core), std::move(loop), std::move(wire), std::move(options))->start();
}

void wake_connections(Loop& loop) {
  for (Connection* connection : loop.connections)
    connection->wake();
}

void cut_connections(Loop& loop) {
  for (Connection* connection : loop.connections)
    connection->cut();
}

}  // namespace mlxr::http
