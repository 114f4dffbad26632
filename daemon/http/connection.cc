#include "daemon/http/connection.h"

#include <algorithm>
#include <exception>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "daemon/http/upload_file.h"

namespace mlxr::http {

namespace asio = boost::asio;
using asio::awaitable;
using std::chrono::steady_clock;
using TimePoint = steady_clock::time_point;
using Event = RequestReader::Event;

namespace {

constexpr TimePoint kNever = TimePoint::max();
// Of requests that come before their turn.
constexpr std::size_t kMaxEarlyBytes = std::size_t{128} << 10;
constexpr std::size_t kDiskPieceBytes = std::size_t{256} << 10;
// A body may be slow, but beyond body_timeout not slower than this on the whole.
constexpr std::uint64_t kMinBodyBytesPerSecond = 1024;
// What is read and thrown away after a last answer: closing over unread bytes would reset the connection, and the peer
// could lose the answer.
constexpr std::size_t kMaxLingerBytes = std::size_t{4} << 20;
constexpr std::chrono::milliseconds kLingerTime{1000};
constexpr std::size_t kKeptCapacity = 4096;
constexpr std::uint64_t kMaxRequests = 100'000;  // of one connection

}  // namespace

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<ServerCore> core, std::shared_ptr<Loop> loop, std::unique_ptr<Wire> wire,
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

  ~Connection() {
    loop_->connections.erase(this);
    const std::lock_guard lock(core_->mutex);
    --(refuse_ ? core_->refusing : core_->connections);
    core_->none_left.notify_all();
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void start() {
    asio::co_spawn(loop_->context, run(),
                   [self = shared_from_this()](const std::exception_ptr& thrown) { self->leave(thrown != nullptr); });
  }

  void wake() {
    if (std::exchange(awake_, true)) return;
    timer_.cancel();
  }

  void cut() {
    cut_ = true;
    wake();
  }

 private:
  // Of the answer that is due.
  struct Answer {
    bool http11 = true;
    bool head_only = false;
    bool keep_alive = false;
    std::string id;
    Fields cors;
    int status = 0;
    std::uint64_t sent_bytes = 0;
    bool ended = false;  // nothing more will come from the handler
    bool begun = false;  // the head is on its way
    bool chunked = false;
    const Route* route = nullptr;
    std::string path;
  };

  // --- waiting ---
  //
  // A co_await stands in a statement of its own everywhere: g++ 12 miscompiles those in conditions.

  // Until somebody calls wake(), or the deadline.
  awaitable<void> wait(TimePoint deadline) {
    if (!awake_) {
      timer_.expires_at(deadline);
      co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    awake_ = false;
  }

  bool dead() const { return failed_ || cut_; }

  void start_read() {
    if (reading_ || eof_ || dead()) return;
    reading_ = true;
    wire_->read(
        [self = shared_from_this()](Wire::ReadState state, std::string_view bytes) { self->on_read(state, bytes); });
  }

  void on_read(Wire::ReadState state, std::string_view bytes) {
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

  // --- writing ---

  bool all_sent() const { return out_done_ == out_first_.size() + out_second_.size(); }

  void push() {
    while (!writing_ && !dead() && !all_sent()) {
      const std::string_view first = std::string_view(out_first_).substr(std::min(out_done_, out_first_.size()));
      const std::string_view second =
          std::string_view(out_second_).substr(out_done_ - std::min(out_done_, out_first_.size()));
      const auto written = wire_->write(first, second, [self = shared_from_this()](Wire::Written later) {
        self->writing_ = false;
        self->account(later);
        self->pump();
        self->wake();
      });
      if (!written) {
        writing_ = true;
        return;
      }
      account(*written);
    }
  }

  void account(Wire::Written written) {
    if (!written.ok) {
      failed_ = true;
      return;
    }
    if (written.bytes == 0) return;
    last_progress_ = steady_clock::now();
    const std::size_t before = out_done_ - std::min(out_done_, out_first_.size());
    out_done_ += written.bytes;
    const std::size_t of_second = out_done_ - std::min(out_done_, out_first_.size()) - before;
    if (answer_ != nullptr) answer_->sent_bytes += of_second;
    if (all_sent()) clear_out();
    if (exchange_ != nullptr && of_second != 0) exchange_->sent(of_second);
  }

  void clear_out() {
    out_done_ = 0;
    for (std::string* text : {&out_first_, &out_second_}) {
      text->clear();
      if (text->capacity() > kKeptCapacity) text->shrink_to_fit();
    }
  }

  // Only when all was sent.
  void set_out(std::string first, std::string second) {
    out_first_ = std::move(first);
    out_second_ = std::move(second);
    out_done_ = 0;
    last_progress_ = steady_clock::now();
  }

  // False: it could not be sent in time.
  awaitable<bool> flush() {
    for (;;) {
      push();
      if (all_sent()) co_return true;
      const TimePoint deadline = last_progress_ + core_->options.write_timeout;
      if (dead() || steady_clock::now() >= deadline) co_return false;
      co_await wait(deadline);
    }
  }

  void stage_head(int status, const Fields& fields, BodyFraming framing, std::uint64_t length, std::string body) {
    answer_->status = status;
    answer_->begun = true;
    if (framing == BodyFraming::kUntilClose || eof_ || core_->stopping) answer_->keep_alive = false;
    HeadParts parts{.status = status,
                    .fields = &fields,
                    .more = &answer_->cors,
                    .framing = framing,
                    .length = length,
                    .http11 = answer_->http11,
                    .keep_alive = answer_->keep_alive,
                    .request_id = answer_->id,
                    .date = loop_->date()};
    set_out(format_head(parts), std::move(body));
  }

  void stage_whole(Response response) {
    const bool body = status_has_body(response.status);
    const std::size_t length = response.body.size();
    if (!body || answer_->head_only) response.body.clear();
    stage_head(response.status, response.fields, body ? BodyFraming::kLength : BodyFraming::kNone, length,
               std::move(response.body));
  }

  // Takes what the handler has given, when all before it was sent.
  void refill() {
    ExchangeState::Output output = exchange_->take();
    answer_->ended = output.ended;
    if (output.unanswered) {
      output.whole = core_->error(answer_->route, answer_->path, 500, "the server has no answer to this request");
    }
    if (output.whole) return stage_whole(std::move(*output.whole));
    if (output.begins) {
      const bool body = status_has_body(output.status);
      answer_->chunked = body && answer_->http11;
      const BodyFraming framing = !body              ? BodyFraming::kNone
                                  : answer_->chunked ? BodyFraming::kChunked
                                                     : BodyFraming::kUntilClose;
      if (!body) output.bytes.clear();
      return stage_head(output.status, output.fields, framing, 0, std::move(output.bytes));
    }
    if (!output.bytes.empty()) set_out("", std::move(output.bytes));
  }

  void pump() {
    for (;;) {
      push();
      if (exchange_ == nullptr || dead() || !all_sent()) return;
      refill();
      if (all_sent()) return;
    }
  }

  // --- one request ---

  awaitable<void> run() {
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

  void leave(bool thrown) {
    if (exchange_ != nullptr) exchange_->finish(true);  // only when thrown out of an answer
    exchange_.reset();
    wire_->close(thrown || reset_);
  }

  awaitable<bool> handshake() {
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

  // False: the connection ends.
  awaitable<bool> serve_one() {
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

  // kHead, kError, or kNeedMore when the connection ends without one.
  awaitable<Event> read_head() {
    TimePoint deadline = steady_clock::now() + core_->options.idle_timeout;
    bool started = false;
    for (;;) {
      const Event event = reader_.next();
      if (event != Event::kNeedMore) co_return event;
      if (reader_.started() && !started) {
        started = true;
        deadline = steady_clock::now() + core_->options.head_timeout;
      }
      if (eof_ || dead() || (core_->stopping && !started)) co_return Event::kNeedMore;
      if (steady_clock::now() >= deadline) {
        const std::string message = "the header did not come in time";
        if (started) co_await answer_malformed(408, message);
        co_return Event::kNeedMore;
      }
      start_read();
      co_await wait(deadline);
    }
  }

  Admission refuse_all() {
    Admission admission;
    RequestHead& head = reader_.head();
    admission.request.id = core_->make_id();
    admission.request.target = head.target;
    admission.request.path = head.target.substr(0, head.target.find('?'));
    admission.request.peer = peer_;
    admission.request.received = steady_clock::now();
    admission.answer = core_->error(nullptr, admission.request.path, 503, "the server has too many connections");
    admission.answer->fields.set("Retry-After", "1");
    return admission;
  }

  // Whether what is left of the request's body is here already; it is thrown away.
  bool skip_body() {
    reader_.limit_body(std::uint64_t{1} << 20);
    Event event = reader_.next();
    while (event == Event::kBody)
      event = reader_.next();
    return event == Event::kDone;
  }

  // An answer when the body is refused. The connection may be dead afterwards.
  awaitable<std::optional<Response>> read_body(Admission& admission, bool expects, std::uint64_t length) {
    Request& request = admission.request;
    const ServerOptions& options = core_->options;
    const auto refuse = [&](int status, const std::string& message) {
      answer_->keep_alive = false;
      return core_->error(admission.route, request.path, status, message);
    };
    std::optional<UploadFile> file;
    if (admission.route->options.body_to_file) {
      auto made = UploadFile::create(options.upload_folder);
      if (!made.ok()) co_return refuse(disk_status(made.status()), "the body cannot be stored");
      file.emplace(std::move(*made));
    } else {
      request.body.reserve(static_cast<std::size_t>(std::min(length, std::uint64_t{64} << 10)));
    }
    std::string piece;  // on its way to the disk
    const TimePoint start = last_read_ = steady_clock::now();
    const std::uint64_t read_before = read_bytes_;
    for (;;) {
      const Event event = reader_.next();
      if (event == Event::kError) co_return refuse(reader_.error().status, reader_.error().message);
      if (event == Event::kBody) (file ? piece : request.body) += reader_.piece();
      if (file && (event == Event::kDone || piece.size() >= kDiskPieceBytes)) {
        const Status stored = co_await store(*file, piece, event == Event::kDone);
        if (!stored.ok()) co_return refuse(disk_status(stored), "the body cannot be stored");
        piece.clear();
        last_read_ = steady_clock::now();
      }
      if (event == Event::kDone) break;
      if (event == Event::kBody) continue;
      if (eof_) abandoned_ = true;
      if (dead() || abandoned_) co_return std::nullopt;
      if (expects) {
        expects = false;
        set_out("HTTP/1.1 100 Continue\r\n\r\n", "");
        const bool sent = co_await flush();
        if (!sent) failed_ = true;
        continue;
      }
      const TimePoint deadline = std::min(
          last_read_ + options.body_timeout,
          start + options.body_timeout + std::chrono::seconds((read_bytes_ - read_before) / kMinBodyBytesPerSecond));
      if (steady_clock::now() >= deadline) co_return refuse(408, "the body did not come in time");
      start_read();
      co_await wait(deadline);
    }
    if (file) request.body_file = file->keep();
    co_return std::nullopt;
  }

  static int disk_status(const Status& status) { return status.code() == StatusCode::kResourceExhausted ? 507 : 500; }

  // On the thread for disks. Also waits when the connection is cut: the piece must hold.
  awaitable<Status> store(UploadFile& file, const std::string& piece, bool last) {
    std::optional<Status> stored;
    core_->disk.submit([this, loop = loop_, &file, &piece, &stored, last] {
      Status status = file.append(piece);
      if (status.ok() && last) status = file.close();
      loop->post([this, &stored, status = std::move(status)] {
        stored = status;
        wake();
      });
    });
    while (!stored)
      co_await wait(kNever);
    co_return *stored;
  }

  // --- answers ---

  awaitable<void> answer_malformed(int status, const std::string& message) {
    Answer answer;
    answer.id = core_->make_id();
    Admission admission;
    admission.request.id = answer.id;
    admission.request.target = reader_.probable_target();
    admission.request.path = admission.request.target;
    admission.request.peer = peer_;
    admission.request.received = steady_clock::now();
    admission.answer = core_->error(nullptr, admission.request.path, status, message);
    answer_ = &answer;
    co_await answer_at_once(admission);
    answer_ = nullptr;
  }

  awaitable<void> answer_at_once(Admission& admission) {
    stage_whole(std::move(*admission.answer));
    const bool sent = co_await flush();
    abandoned_ = abandoned_ || !sent;
    record(admission.request, abandoned_);
  }

  awaitable<void> answer_by_handler(Admission& admission) {
    Request about;  // for the record: the handler may move out of its own
    if (core_->options.on_finished) about = without_body(admission.request);
    ++core_->exchanges;
    exchange_ = std::make_shared<ExchangeState>(
        loop_, std::move(admission.request),
        ExchangeState::Traits{answer_->http11, answer_->head_only, core_->options.max_unsent_bytes});
    exchange_->attach([this] {
      pump();
      if (!all_sent() || dead() || exchange_->needs_attention()) wake();
    });
    call_handler(*admission.route);
    const bool whole = co_await finish_answer();
    const auto exchange = std::exchange(exchange_, nullptr);
    exchange->finish(!whole);
    if (!whole) {
      abandoned_ = true;
      reset_ = answer_->begun && !answer_->chunked;
    }
    --core_->exchanges;
    record(about, !whole);
  }

  void call_handler(const Route& route) {
    auto handle = std::make_shared<ExchangeHandle>(exchange_);
    const auto call = [](const Handler& handler, std::shared_ptr<Exchange> exchange) {
      try {
        handler(std::move(exchange));
      } catch (const std::exception&) {
        // The handle is gone by now, which answers 500 or breaks the answer off.
      }
    };
    if (route.options.blocking) {
      core_->workers.submit([call, &route, core = core_, handle = std::move(handle)]() mutable {
        call(route.handler, std::move(handle));
      });
    } else {
      call(route.handler, std::move(handle));
    }
  }

  // Sends what the handler gives until its end. False: the peer is gone, or the answer was broken off.
  awaitable<bool> finish_answer() {
    watched_ = probed_ = false;
    for (;;) {
      const TimePoint next_tick = exchange_->run_due(steady_clock::now());
      pump();
      if (answer_->ended && all_sent() && !dead()) co_return true;
      const TimePoint write_deadline = all_sent() ? kNever : last_progress_ + core_->options.write_timeout;
      if (dead() || hung_up_ || exchange_->broken() || steady_clock::now() >= write_deadline) co_return false;
      watch();
      co_await wait(std::min(next_tick, write_deadline));
    }
  }

  void watch() {
    if (!eof_) {
      if (reader_.buffered_bytes() < kMaxEarlyBytes) start_read();
      return;
    }
    if (!std::exchange(watched_, true)) {
      wire_->watch_hangup([self = shared_from_this()] {
        self->hung_up_ = true;
        self->wake();
      });
    }
    if (peer_.local_socket || peer_.tls || !answer_->http11 || probed_ || !all_sent()) return;
    if (answer_->begun && !answer_->chunked) return;
    probed_ = true;
    set_out(answer_->begun ? "0" : "HTTP/1.1 100 Continue\r\n\r\n", "");
    push();
  }

  static Request without_body(const Request& request) {
    Request copy;
    copy.id = request.id;
    copy.method = request.method;
    copy.target = request.target;
    copy.path = request.path;
    copy.query = request.query;
    copy.captures = request.captures;
    copy.fields = request.fields;
    copy.peer = request.peer;
    copy.received = request.received;
    copy.caller = request.caller;
    return copy;
  }

  void record(const Request& request, bool cut) {
    if (!core_->options.on_finished) return;
    core_->options.on_finished({.request = request,
                                .status = answer_->status,
                                .sent_bytes = answer_->sent_bytes,
                                .duration = steady_clock::now() - request.received,
                                .cut = cut});
  }

  awaitable<void> linger() {
    discard_ = true;
    const TimePoint deadline = steady_clock::now() + kLingerTime;
    const std::uint64_t limit = read_bytes_ + kMaxLingerBytes;
    while (!eof_ && !dead() && !core_->stopping && read_bytes_ < limit && steady_clock::now() < deadline) {
      start_read();
      co_await wait(deadline);
    }
  }

  const std::shared_ptr<ServerCore> core_;
  const std::shared_ptr<Loop> loop_;
  const std::unique_ptr<Wire> wire_;
  const Peer peer_;
  const std::string bound_;
  const bool refuse_;

  asio::steady_timer timer_;
  bool awake_ = false;
  RequestReader reader_;
  TimePoint last_read_;
  std::uint64_t read_bytes_ = 0;
  std::uint64_t num_requests_ = 0;
  bool reading_ = false;
  bool discard_ = false;
  bool eof_ = false;        // the peer sends no more
  bool failed_ = false;     // the socket is of no more use
  bool cut_ = false;        // the server ends it
  bool hung_up_ = false;    // the peer reads no more either
  bool abandoned_ = false;  // a message was broken off
  bool reset_ = false;
  bool closing_ = false;
  bool watched_ = false;
  bool probed_ = false;

  std::string out_first_;
  std::string out_second_;
  std::size_t out_done_ = 0;
  bool writing_ = false;
  TimePoint last_progress_;
  Answer* answer_ = nullptr;
  std::shared_ptr<ExchangeState> exchange_;
};

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
