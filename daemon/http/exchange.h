#pragma once
// Exchange: one request and its answer, whole or piece by piece. What a handler of a route gets.
//
// A handler returns at once; the answer may come from any thread, long after. Each exchange has a sequence: functions
// given to post(), on_closed(), on_sent() and every() run on it, one at a time, never within the call that names them,
// and never after the exchange is over, except on_closed's. All calls are safe from any thread and do nothing once the
// peer is gone.
//
//   exchange->respond(json_response(200, text));                       whole
//
//   exchange->begin(200, {{"Content-Type", "text/event-stream"}});     piece by piece: chunked
//   exchange->write("data: ...\n\n");
//   exchange->end();
//
// An exchange that is destroyed without an answer answers 500 when nothing was sent, and breaks the connection when a
// part was. Functions that were given to an exchange are let go when it is over, so that they may hold it. A handler
// that throws has its exchange destroyed. A second answer is dropped.

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>

#include "daemon/http/message.h"

namespace mlxr::http {

class Exchange {
 public:
  virtual ~Exchange() = default;

  // Holds as long as the exchange. A handler may move out of it.
  virtual Request& request() = 0;

  virtual void respond(Response response) = 0;
  // The head of a streamed answer. HTTP/1.0 peers get it unchunked, ended by closing.
  virtual void begin(int status, Fields fields) = 0;
  // Sent at once unless earlier pieces are still on their way; those of a HEAD request are dropped.
  virtual void write(std::string piece) = 0;
  virtual void end() = 0;
  // Breaks the connection, so that the peer sees that the answer is not whole.
  virtual void abort() = 0;

  // Nobody reads the answer any more, or it is over.
  virtual bool closed() const = 0;
  // Accepted by write() and not yet by the system.
  virtual std::size_t unsent_bytes() const = 0;

  virtual void post(std::function<void()> work) = 0;
  // The peer went away before end(), or was cut off: called once, at once when that has happened already. Not called
  // when the server itself is gone.
  virtual void on_closed(std::function<void()> notify) = 0;
  // Each time that unsent_bytes() falls to zero.
  virtual void on_sent(std::function<void()> notify) = 0;
  // Again and again until the exchange is over.
  virtual void every(std::chrono::milliseconds period, std::function<void()> tick) = 0;
};

}  // namespace mlxr::http
