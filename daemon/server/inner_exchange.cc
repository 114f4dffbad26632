#include "daemon/server/inner_exchange.h"

#include <utility>
#include <vector>

namespace mlxr::server {
namespace {

class InnerExchange : public http::Exchange {
 public:
  explicit InnerExchange(http::Request request) : request_(std::move(request)) {}

  http::Request& request() override { return request_; }

  void respond(http::Response response) override {
    const std::lock_guard lock(mutex_);
    if (over_) return;
    response_ = std::move(response);
    finish_locked();
  }
  void begin(int status, http::Fields fields) override {
    const std::lock_guard lock(mutex_);
    response_.status = status;
    response_.fields = std::move(fields);
  }
  void write(std::string piece) override {
    const std::lock_guard lock(mutex_);
    if (!over_) response_.body += piece;
  }
  void end() override {
    const std::lock_guard lock(mutex_);
    finish_locked();
  }
  void abort() override { respond(http::text_response(500, "the answer was broken off\n")); }

  bool closed() const override {
    const std::lock_guard lock(mutex_);
    return over_;
  }
  std::size_t unsent_bytes() const override { return 0; }
  void post(std::function<void()> work) override {
    const std::lock_guard lock(mutex_);
    work_.push_back(std::move(work));
    changed_.notify_one();
  }
  // Never called: whoever asked is there until the end, nothing is ever unsent, and nobody gets impatient. But kept, as
  // what they refer to lives by them.
  void on_closed(std::function<void()> notify) override { keep(std::move(notify)); }
  void on_sent(std::function<void()> notify) override { keep(std::move(notify)); }
  void every(std::chrono::milliseconds /*period*/, std::function<void()> tick) override { keep(std::move(tick)); }

  http::Response run() {
    std::unique_lock lock(mutex_);
    while (!over_) {
      changed_.wait(lock, [this] { return over_ || !work_.empty(); });
      while (!over_ && !work_.empty()) {
        const std::function<void()> work = std::move(work_.front());
        work_.pop_front();
        lock.unlock();
        work();
        lock.lock();
      }
    }
    const std::deque<std::function<void()>> unused = std::exchange(work_, {});
    const std::vector<std::function<void()>> kept = std::exchange(kept_, {});
    http::Response response = std::move(response_);
    lock.unlock();  // what the functions hold may call back when it goes
    return response;
  }

 private:
  void keep(std::function<void()> notify) {
    const std::lock_guard lock(mutex_);
    if (!over_) kept_.push_back(std::move(notify));
  }
  void finish_locked() {
    over_ = true;
    changed_.notify_one();
  }

  http::Request request_;
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<std::function<void()>> work_;
  std::vector<std::function<void()>> kept_;
  http::Response response_;
  bool over_ = false;
};

}  // namespace

http::Response call_route(const http::Router& router, http::Request request) {
  http::Router::Match match = router.find(request.method, request.path);
  if (match.route == nullptr) {
    const int status = match.allowed.empty() ? 404 : 405;
    return router.error(request.path, status, status == 404 ? "no such route" : "this method is not allowed here");
  }
  request.captures = std::move(match.captures);
  const auto exchange = std::make_shared<InnerExchange>(std::move(request));
  match.route->handler(exchange);
  return exchange->run();
}

}  // namespace mlxr::server
