#include "daemon/http/connection_impl.h"

namespace mlxr::http {

using boost::asio::awaitable;
using std::chrono::steady_clock;
using TimePoint = steady_clock::time_point;

namespace {

// Of requests that come before their turn.
constexpr std::size_t kMaxEarlyBytes = std::size_t{128} << 10;

}  // namespace

awaitable<void> Connection::answer_malformed(int status, const std::string& message) {
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

awaitable<void> Connection::answer_at_once(Admission& admission) {
  stage_whole(std::move(*admission.answer));
  const bool sent = co_await flush();
  abandoned_ = abandoned_ || !sent;
  record(admission.request, abandoned_);
}

awaitable<void> Connection::answer_by_handler(Admission& admission) {
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

void Connection::call_handler(const Route& route) {
  auto handle = std::make_shared<ExchangeHandle>(exchange_);
  const auto call = [](const Handler& handler, std::shared_ptr<Exchange> exchange) {
    try {
      handler(std::move(exchange));
    } catch (const std::exception&) {
      // The handle is gone by now, which answers 500 or breaks the answer off.
    }
  };
  if (route.options.blocking) {
    core_->workers.submit(
        [call, &route, core = core_, handle = std::move(handle)]() mutable { call(route.handler, std::move(handle)); });
  } else {
    call(route.handler, std::move(handle));
  }
}

awaitable<bool> Connection::finish_answer() {
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

void Connection::watch() {
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

Request Connection::without_body(const Request& request) {
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

void Connection::record(const Request& request, bool cut) {
  if (!core_->options.on_finished) return;
  core_->options.on_finished({.request = request,
                              .status = answer_->status,
                              .sent_bytes = answer_->sent_bytes,
                              .duration = steady_clock::now() - request.received,
                              .cut = cut});
}

}  // namespace mlxr::http
