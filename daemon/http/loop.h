#pragma once
// Loop: one thread with its connections. Only sources that use Asio include this.

// For tools that read these sources as clang 14 but with the flags of another compiler: see daemon/CMakeLists.txt.
#if defined(__clang__) && !defined(__cpp_impl_coroutine)
#define __cpp_impl_coroutine 201902L
#endif

#include <array>
#include <ctime>
#include <thread>
#include <unordered_set>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "daemon/http/exchange_state.h"
#include "daemon/http/response_head.h"

namespace mlxr::http {

class Connection;

class Loop final : public Sequence {
 public:
  ~Loop() override { stop(); }

  void start() {
    thread_ = std::thread([this] { run(); });
  }
  // From another thread. What is still to run is dropped with the loop.
  void stop() {
    context.stop();
    if (thread_.joinable()) thread_.join();
  }
  void post(std::function<void()> work) override { boost::asio::post(context, std::move(work)); }

  // The Date field, made once a second.
  const std::string& date() {
    const std::time_t now = std::time(nullptr);
    if (now != date_time_) {
      date_time_ = now;
      date_ = http_date(now);
    }
    return date_;
  }

  boost::asio::io_context context{1};
  std::unordered_set<Connection*> connections;          // on this thread
  std::array<char, std::size_t{64} << 10> read_buffer;  // of a read that does not wait

 private:
  // What a handler throws ends its own work, not the thread.
  void run() {
    for (;;) {
      try {
        context.run();
        return;
      } catch (const std::exception&) {
        continue;
      }
    }
  }

  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> busy_{context.get_executor()};
  std::thread thread_;
  std::time_t date_time_ = -1;
  std::string date_;
};

}  // namespace mlxr::http
