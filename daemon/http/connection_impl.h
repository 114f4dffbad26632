#pragma once
// The class behind connection.h. Its parts: connection.cc (life, waiting, one request after another),
// connection_request.cc (reading a request), connection_answer.cc (answering it), connection_output.cc (bytes on their
// way). All on the thread of its loop, but for what store() gives to the thread for disks.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include "daemon/http/connection.h"
#include "daemon/http/upload_file.h"

namespace mlxr::http {

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<ServerCore> core, std::shared_ptr<Loop> loop, std::unique_ptr<Wire> wire,
             ConnectionOptions options);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void start();
  void wake();
  void cut();

 private:
  using TimePoint = std::chrono::steady_clock::time_point;
  using Event = RequestReader::Event;
  static constexpr TimePoint kNever = TimePoint::max();

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

  // --- waiting (connection.cc) ---
  //
  // A co_await stands in a statement of its own everywhere: g++ 12 miscompiles those in conditions.

  // Until somebody calls wake(), or the deadline.
  boost::asio::awaitable<void> wait(TimePoint deadline);
  bool dead() const { return failed_ || cut_; }
  void start_read();
  void on_read(Wire::ReadState state, std::string_view bytes);

  // --- bytes on their way (connection_output.cc) ---

  bool all_sent() const { return out_done_ == out_first_.size() + out_second_.size(); }
  void push();
  void account(Wire::Written written);
  void clear_out();
  // Only when all was sent.
  void set_out(std::string first, std::string second);
  // False: it could not be sent in time.
  boost::asio::awaitable<bool> flush();
  void stage_head(int status, const Fields& fields, BodyFraming framing, std::uint64_t length, std::string body);
  void stage_whole(Response response);
  // Takes what the handler has given, when all before it was sent.
  void refill();
  void pump();

  // --- one request after another (connection.cc) ---

  boost::asio::awaitable<void> run();
  void leave(bool thrown);
  boost::asio::awaitable<bool> handshake();
  // False: the connection ends.
  boost::asio::awaitable<bool> serve_one();
  boost::asio::awaitable<void> linger();

  // --- a request (connection_request.cc) ---

  // kHead, kError, or kNeedMore when the connection ends without one.
  boost::asio::awaitable<Event> read_head();
  Admission refuse_all();
  // Whether what is left of the request's body is here already; it is thrown away.
  bool skip_body();
  // An answer when the body is refused. The connection may be dead afterwards.
  boost::asio::awaitable<std::optional<Response>> read_body(Admission& admission, bool expects, std::uint64_t length);
  static int disk_status(const Status& status);
  // On the thread for disks. Also waits when the connection is cut: the piece must hold.
  boost::asio::awaitable<Status> store(UploadFile& file, const std::string& piece, bool last);

  // --- its answer (connection_answer.cc) ---

  boost::asio::awaitable<void> answer_malformed(int status, const std::string& message);
  boost::asio::awaitable<void> answer_at_once(Admission& admission);
  boost::asio::awaitable<void> answer_by_handler(Admission& admission);
  void call_handler(const Route& route);
  // Sends what the handler gives until its end. False: the peer is gone, or the answer was broken off.
  boost::asio::awaitable<bool> finish_answer();
  void watch();
  static Request without_body(const Request& request);
  void record(const Request& request, bool cut);

  const std::shared_ptr<ServerCore> core_;
  const std::shared_ptr<Loop> loop_;
  const std::unique_ptr<Wire> wire_;
  const Peer peer_;
  const std::string bound_;
  const bool refuse_;

  boost::asio::steady_timer timer_;
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

}  // namespace mlxr::http
