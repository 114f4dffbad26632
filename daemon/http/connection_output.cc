#include "daemon/http/connection_impl.h"

namespace mlxr::http {

using boost::asio::awaitable;
using std::chrono::steady_clock;
using TimePoint = steady_clock::time_point;

namespace {

constexpr std::size_t kKeptCapacity = 4096;

}  // namespace

void Connection::push() {
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

void Connection::account(Wire::Written written) {
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

void Connection::clear_out() {
  out_done_ = 0;
  for (std::string* text : {&out_first_, &out_second_}) {
    text->clear();
    if (text->capacity() > kKeptCapacity) text->shrink_to_fit();
  }
}

void Connection::set_out(std::string first, std::string second) {
  out_first_ = std::move(first);
  out_second_ = std::move(second);
  out_done_ = 0;
  last_progress_ = steady_clock::now();
}

awaitable<bool> Connection::flush() {
  for (;;) {
    push();
    if (all_sent()) co_return true;
    const TimePoint deadline = last_progress_ + core_->options.write_timeout;
    if (dead() || steady_clock::now() >= deadline) co_return false;
    co_await wait(deadline);
  }
}

void Connection::stage_head(int status, const Fields& fields, BodyFraming framing, std::uint64_t length,
                            std::string body) {
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

void Connection::stage_whole(Response response) {
  const bool body = status_has_body(response.status);
  const std::size_t length = response.body.size();
  if (!body || answer_->head_only) response.body.clear();
  stage_head(response.status, response.fields, body ? BodyFraming::kLength : BodyFraming::kNone, length,
             std::move(response.body));
}

void Connection::refill() {
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

void Connection::pump() {
  for (;;) {
    push();
    if (exchange_ == nullptr || dead() || !all_sent()) return;
    refill();
    if (all_sent()) return;
  }
}

}  // namespace mlxr::http
