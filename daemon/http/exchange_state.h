#pragma once
// ExchangeState: what the threads of a handler and the thread of a connection share of one exchange. The handler has an
// ExchangeHandle in front of it; the connection takes out what is to be sent and says how that went.

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "daemon/http/exchange.h"

namespace mlxr::http {

// Runs work on one thread, later, in order.
class Sequence {
 public:
  virtual ~Sequence() = default;
  virtual void post(std::function<void()> work) = 0;
};

class ExchangeState : public std::enable_shared_from_this<ExchangeState> {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  using Work = std::function<void()>;
  struct Traits {
    bool http11 = true;
    bool head_only = false;
    std::size_t max_unsent_bytes = 0;
  };

  // The file of request.body_file is removed with the state.
  ExchangeState(std::weak_ptr<Sequence> sequence, Request request, Traits traits);
  ~ExchangeState();
  ExchangeState(const ExchangeState&) = delete;
  ExchangeState& operator=(const ExchangeState&) = delete;

  Request request;

  // Any thread: see Exchange.
  void respond(Response response);
  void begin(int status, Fields fields);
  void write(std::string piece);
  void end();
  void abort();
  bool closed() const;
  std::size_t unsent_bytes() const;
  void post(Work work);
  void on_closed(Work notify);
  void on_sent(Work notify);
  void every(std::chrono::milliseconds period, Work tick);
  void drop();  // the handle is gone

  // The rest is for the connection, on the sequence.

  // Called when there is something to take or to look at; nullptr: no more.
  void attach(Work signal) { signal_ = std::move(signal); }

  struct Output {
    std::optional<Response> whole;  // then nothing else
    bool begins = false;            // with status and fields
    int status = 0;
    Fields fields;
    std::string bytes;  // pieces, in chunks already for HTTP/1.1
    bool ended = false;
    bool unanswered = false;  // dropped without an answer
  };
  Output take();
  void sent(std::size_t bytes);  // of Output::bytes
  // Runs the ticks that are due; when the next one is.
  TimePoint run_due(TimePoint now);
  bool broken() const;           // abort(), or more unsent than allowed
  bool needs_attention() const;  // ended, broken or with new ticks since run_due()
  // The exchange is over. cut: the peer is gone or was cut off.
  void finish(bool cut);

 private:
  enum class Stage : std::uint8_t { kWaiting, kStreaming, kEnded };
  struct Ticker {
    std::chrono::milliseconds period;
    TimePoint next;
    std::shared_ptr<Work> tick;
  };

  void append_piece(std::string_view piece);  // holds mutex_
  void signal();                              // does not hold mutex_

  const std::weak_ptr<Sequence> sequence_;
  const Traits traits_;
  const std::string upload_;
  Work signal_;  // sequence only

  mutable std::mutex mutex_;
  Stage stage_ = Stage::kWaiting;
  bool over_ = false;
  bool cut_ = false;
  bool aborted_ = false;
  bool overflowed_ = false;
  bool unanswered_ = false;
  bool signalled_ = false;
  bool new_ticks_ = false;
  bool head_pending_ = false;
  std::optional<Response> whole_;
  int status_ = 0;
  Fields fields_;
  std::string bytes_;
  std::size_t unsent_ = 0;
  std::vector<Work> closed_;
  std::vector<std::shared_ptr<Work>> sent_;
  std::vector<Ticker> tickers_;
};

class ExchangeHandle final : public Exchange {
 public:
  explicit ExchangeHandle(std::shared_ptr<ExchangeState> state) : state_(std::move(state)) {}
  ~ExchangeHandle() override { state_->drop(); }
  ExchangeHandle(const ExchangeHandle&) = delete;
  ExchangeHandle& operator=(const ExchangeHandle&) = delete;

  Request& request() override { return state_->request; }
  void respond(Response response) override { state_->respond(std::move(response)); }
  void begin(int status, Fields fields) override { state_->begin(status, std::move(fields)); }
  void write(std::string piece) override { state_->write(std::move(piece)); }
  void end() override { state_->end(); }
  void abort() override { state_->abort(); }
  bool closed() const override { return state_->closed(); }
  std::size_t unsent_bytes() const override { return state_->unsent_bytes(); }
  void post(std::function<void()> work) override { state_->post(std::move(work)); }
  void on_closed(std::function<void()> notify) override { state_->on_closed(std::move(notify)); }
  void on_sent(std::function<void()> notify) override { state_->on_sent(std::move(notify)); }
  void every(std::chrono::milliseconds period, std::function<void()> tick) override {
    state_->every(period, std::move(tick));
  }

 private:
  std::shared_ptr<ExchangeState> state_;
};

}  // namespace mlxr::http
