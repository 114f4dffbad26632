#include "daemon/http/exchange_state.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include <fmt/core.h>

namespace mlxr::http {

ExchangeState::ExchangeState(std::weak_ptr<Sequence> sequence, Request asked, Traits traits)
    : request(std::move(asked)), sequence_(std::move(sequence)), traits_(traits), upload_(request.body_file) {}

ExchangeState::~ExchangeState() {
  if (!upload_.empty()) ::unlink(upload_.c_str());
}

void ExchangeState::signal() {
  {
    const std::lock_guard lock(mutex_);
    if (signalled_ || over_) return;
    signalled_ = true;
  }
  if (const auto sequence = sequence_.lock()) {
    sequence->post([self = shared_from_this()] {
      if (self->signal_) self->signal_();
    });
  }
}

void ExchangeState::respond(Response response) {
  {
    const std::lock_guard lock(mutex_);
    if (over_ || stage_ != Stage::kWaiting) return;
    stage_ = Stage::kEnded;
    whole_ = std::move(response);
  }
  signal();
}

void ExchangeState::begin(int status, Fields fields) {
  {
    const std::lock_guard lock(mutex_);
    if (over_ || stage_ != Stage::kWaiting) return;
    stage_ = Stage::kStreaming;
    head_pending_ = true;
    status_ = status;
    fields_ = std::move(fields);
  }
  signal();
}

void ExchangeState::append_piece(std::string_view piece) {
  const std::size_t before = bytes_.size();
  if (traits_.http11) {
    bytes_ += fmt::format("{:x}\r\n", piece.size());
    bytes_.append(piece).append("\r\n");
  } else {
    bytes_.append(piece);
  }
  unsent_ += bytes_.size() - before;
}

void ExchangeState::write(std::string piece) {
  {
    const std::lock_guard lock(mutex_);
    // An empty chunk would end the answer.
    if (over_ || aborted_ || stage_ != Stage::kStreaming || traits_.head_only || piece.empty()) return;
    if (unsent_ > traits_.max_unsent_bytes) {
      overflowed_ = true;
    } else {
      append_piece(piece);
    }
  }
  signal();
}

void ExchangeState::end() {
  {
    const std::lock_guard lock(mutex_);
    if (over_ || stage_ != Stage::kStreaming) return;
    stage_ = Stage::kEnded;
    if (traits_.http11 && !traits_.head_only) {
      constexpr std::string_view kLastChunk = "0\r\n\r\n";
      bytes_.append(kLastChunk);
      unsent_ += kLastChunk.size();
    }
  }
  signal();
}

void ExchangeState::abort() {
  {
    const std::lock_guard lock(mutex_);
    if (over_) return;
    aborted_ = true;
  }
  signal();
}

void ExchangeState::drop() {
  {
    const std::lock_guard lock(mutex_);
    if (over_ || stage_ == Stage::kEnded) return;
    if (stage_ == Stage::kStreaming) {
      aborted_ = true;
    } else {
      stage_ = Stage::kEnded;
      unanswered_ = true;
    }
  }
  signal();
}

bool ExchangeState::closed() const {
  const std::lock_guard lock(mutex_);
  return over_ || aborted_ || overflowed_;
}

std::size_t ExchangeState::unsent_bytes() const {
  const std::lock_guard lock(mutex_);
  return over_ ? 0 : unsent_;
}

void ExchangeState::post(Work work) {
  const auto sequence = sequence_.lock();
  if (sequence == nullptr) return;
  sequence->post([self = shared_from_this(), work = std::move(work)] {
    {
      const std::lock_guard lock(self->mutex_);
      if (self->over_) return;
    }
    work();
  });
}

void ExchangeState::on_closed(Work notify) {
  {
    const std::lock_guard lock(mutex_);
    if (!over_) {
      closed_.push_back(std::move(notify));
      return;
    }
    if (!cut_) return;
  }
  if (const auto sequence = sequence_.lock()) sequence->post(std::move(notify));
}

void ExchangeState::on_sent(Work notify) {
  const std::lock_guard lock(mutex_);
  if (!over_) sent_.push_back(std::make_shared<Work>(std::move(notify)));
}

void ExchangeState::every(std::chrono::milliseconds period, Work tick) {
  {
    const std::lock_guard lock(mutex_);
    if (over_) return;
    period = std::max(period, std::chrono::milliseconds(1));
    tickers_.push_back({period, std::chrono::steady_clock::now() + period, std::make_shared<Work>(std::move(tick))});
    new_ticks_ = true;
  }
  signal();
}

ExchangeState::Output ExchangeState::take() {
  const std::lock_guard lock(mutex_);
  signalled_ = false;
  Output output;
  output.whole = std::exchange(whole_, std::nullopt);
  output.unanswered = std::exchange(unanswered_, false);
  if (std::exchange(head_pending_, false)) {
    output.begins = true;
    output.status = status_;
    output.fields = std::move(fields_);
  }
  output.bytes = std::exchange(bytes_, {});
  output.ended = stage_ == Stage::kEnded;
  return output;
}

void ExchangeState::sent(std::size_t bytes) {
  std::vector<std::shared_ptr<Work>> notify;
  {
    const std::lock_guard lock(mutex_);
    if (bytes == 0 || unsent_ == 0) return;
    unsent_ -= std::min(bytes, unsent_);
    if (unsent_ == 0) notify = sent_;
  }
  for (const auto& work : notify)
    (*work)();
}

ExchangeState::TimePoint ExchangeState::run_due(TimePoint now) {
  TimePoint next = TimePoint::max();
  for (std::size_t i = 0;; ++i) {
    std::shared_ptr<Work> due;
    {
      const std::lock_guard lock(mutex_);
      new_ticks_ = false;
      if (i >= tickers_.size()) return next;
      Ticker& ticker = tickers_[i];
      if (ticker.next <= now) {
        due = ticker.tick;
        ticker.next = now + ticker.period;
      }
      next = std::min(next, ticker.next);
    }
    if (due != nullptr) (*due)();
  }
}

bool ExchangeState::broken() const {
  const std::lock_guard lock(mutex_);
  return aborted_ || overflowed_;
}

bool ExchangeState::needs_attention() const {
  const std::lock_guard lock(mutex_);
  return stage_ == Stage::kEnded || aborted_ || overflowed_ || new_ticks_;
}

void ExchangeState::finish(bool cut) {
  std::vector<Work> closed;
  std::vector<std::shared_ptr<Work>> sent;
  std::vector<Ticker> tickers;
  bool notify = false;
  {
    const std::lock_guard lock(mutex_);
    if (over_) return;
    over_ = true;
    cut_ = notify = cut && !aborted_ && stage_ != Stage::kEnded;
    // Let go outside the lock: they may hold the last handle.
    closed.swap(closed_);
    sent.swap(sent_);
    tickers.swap(tickers_);
    whole_.reset();
    bytes_ = {};
  }
  signal_ = nullptr;
  if (!notify) return;
  for (const Work& work : closed)
    work();
}

}  // namespace mlxr::http
